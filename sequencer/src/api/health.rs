//! `grpc.health.v1.Health`: the whole and each service, as far as the observer's reasons concern it.

use crate::health::Reason;
use std::future::Future;
use std::pin::pin;
use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The name that stands for the whole.
const OVERALL: &str = "";

/// What is told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The service of this name, which wallets use.
    Wallets(&'static str),
    /// The service of this name, which provers use.
    Provers(&'static str),
}

fn serving(well: bool) -> ServingStatus {
    if well { ServingStatus::Serving } else { ServingStatus::NotServing }
}

/// Says how things are.
pub async fn report(reporter: &HealthReporter, parts: &[Part], reasons: &[Reason]) {
    let well = serving(reasons.is_empty());
    reporter.set_service_status(OVERALL, well).await;
    for part in parts {
        match part {
            Part::Wallets(name) => reporter.set_service_status(name, well).await,
            Part::Provers(name) => {
                let well = !reasons.iter().any(Reason::concerns_provers);
                reporter.set_service_status(name, serving(well)).await;
            }
        }
    }
}

/// Says so after every change until `stop` resolves; then nothing serves, and watchers' streams end.
pub async fn follow(
    mut reporter: HealthReporter,
    parts: Vec<Part>,
    mut health: watch::Receiver<Vec<Reason>>,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    loop {
        let reasons = health.borrow_and_update().clone();
        report(&reporter, &parts, &reasons).await;
        tokio::select! {
            () = &mut stop => break,
            changed = health.changed() => if changed.is_err() {
                // The observer has ended, and the service is about to.
                (&mut stop).await;
                break;
            }
        }
    }
    let names = parts.iter().map(|part| match part {
        Part::Wallets(name) | Part::Provers(name) => *name,
    });
    for name in std::iter::once(OVERALL).chain(names) {
        reporter.set_service_status(name, ServingStatus::NotServing).await;
        reporter.clear_service_status(name).await;
    }
}
