//! `kerros circuit`: the table of constraints of a shape.

use super::Said;
use clap::Args;
use kerros_circuits::report::report;
use kerros_protocol::batch::Shape;
use serde_json::json;

/// Arguments of `kerros circuit`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kerros circuit --shape 64,16,256,32,8 --json")]
pub struct CircuitArgs {
    /// Capacities of opens, deposits, transfers, exits and collects.
    #[arg(long, value_name = "O,D,T,E,F", default_value = super::circuit::DEFAULT_SHAPE)]
    shape: Shape,
}

/// The shape of demo and devnet: proved in seconds on two cores.
pub const DEFAULT_SHAPE: &str = "16,8,24,8,4";

impl CircuitArgs {
    /// Runs the command.
    pub fn run(self) -> Said {
        let report = report(&self.shape);
        Said { json: json!(report), text: report.to_string() }
    }
}
