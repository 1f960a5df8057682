//! The `kerros` command.

use clap::Parser;
use kerros_client::command::{Cli, Failure};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("KERROS_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("kerros: {error}");
            return ExitCode::FAILURE;
        }
    };
    let as_json = cli.json;
    let done = runtime.block_on(cli.run());
    // Whatever still runs in the background has been told to stop; nobody waits for it.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Failure::DoesNotHold(said) = &failure {
                said.print(as_json);
            }
            eprintln!("kerros: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
