//! `kerros setup`: keys of a shape, for development; for real use by [`super::ceremony`].

use super::ceremony::CeremonyCommand;
use super::{Failure, Said};
use crate::keys::{self, Parameters};
use crate::progress::Bar;
use clap::{Args, Subcommand};
use kerros_protocol::batch::Shape;
use serde_json::json;
use std::path::PathBuf;

/// What keys are made for, and where they are.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// Capacities of opens, deposits, transfers, exits and collects.
    #[arg(long, value_name = "O,D,T,E,F", default_value = super::circuit::DEFAULT_SHAPE)]
    pub shape: Shape,
    /// The ledger begins with 2^k places.
    #[arg(long, value_name = "K", default_value_t = 6)]
    pub k_genesis: u8,
    /// The ledger may grow to 2^k places.
    #[arg(long, value_name = "K", default_value_t = 12)]
    pub k_max: u8,
}

impl KeyArgs {
    /// As parameters.
    pub fn parameters(&self) -> Parameters {
        let KeyArgs { shape, k_genesis, k_max } = *self;
        Parameters { shape, k_genesis, k_max }
    }
    /// The directory of these keys under `root`; made first, with a bar, if they are not there.
    pub(super) async fn ensure(&self, root: Option<PathBuf>) -> Result<PathBuf, Failure> {
        let parameters = self.parameters();
        let root = root.unwrap_or_else(keys::default_root);
        let made = tokio::task::spawn_blocking(move || {
            let bar = Bar::spinner("setup");
            let made = keys::ensure(&root, &parameters, &|stage| bar.say(stage));
            bar.done(&format!("keys of shape {}", parameters.shape));
            made
        });
        let (dir, _) = made.await.map_err(|_| Failure::Bug("setup panicked"))??;
        Ok(dir)
    }
}

/// Other than for development.
#[derive(Debug, Subcommand)]
pub enum SetupAction {
    /// Make keys whose secrets nobody knows, with others.
    #[command(subcommand)]
    Ceremony(CeremonyCommand),
}

/// Arguments of `kerros setup`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
The secrets of a development setup are drawn here and forgotten; the files say so, and production
configurations refuse them. Example:
  kerros setup --shape 64,16,256,32,8 --dir keys"
)]
pub struct SetupArgs {
    #[command(subcommand)]
    action: Option<SetupAction>,
    #[command(flatten)]
    keys: KeyArgs,
    /// Directory of the keys; one named by shape and sizes under target/kerros-keys if absent.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl SetupArgs {
    /// Runs the command.
    pub fn run(self) -> Result<Said, Failure> {
        if let Some(SetupAction::Ceremony(ceremony)) = self.action {
            return ceremony.run();
        }
        let bar = Bar::spinner("setup");
        let parameters = self.keys.parameters();
        let progress = |stage: &str| bar.say(stage);
        let (dir, files) = match self.dir {
            Some(dir) => keys::ensure_in(&dir, &parameters, &progress)?,
            None => keys::ensure(&keys::default_root(), &parameters, &progress)?,
        };
        bar.done("done");
        let key = kerros_circuits::setup::read_verification_key(&files.verification_key)
            .map_err(keys::KeysError::from)?;
        let (hash, shape) = (format!("0x{}", hex::encode(key.hash())), parameters.shape);
        Ok(Said {
            text: format!("keys of shape {shape} in {}\nvk hash {hash}", dir.display()),
            json: json!({
                "dir": dir.display().to_string(),
                "shape": shape.to_string(),
                "k_genesis": parameters.k_genesis,
                "k_max": parameters.k_max,
                "vk_hash": hash,
            }),
        })
    }
}
