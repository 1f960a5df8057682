//! What an operator sees of the real binary: its log, its metrics, and how it stops.

use crate::child::{PAYERS, Process, Site, connect};
use crate::rig::{health_client, page, reason, secret, transfer};
use crate::told::{Told, check, load, pay, prove};
use kerros_protocol::proto::sequencer_service_client::SequencerServiceClient;
use kerros_protocol::proto::submit_transactions_response::Result as Outcome;
use kerros_protocol::proto::{
    FollowReceiptsRequest, GetAccountRequest, GetInfoRequest, RejectionDetail,
    SubmitTransactionRequest, SubmitTransactionsRequest, WatchBatchesRequest, get_account_request,
};
use kerros_protocol::transaction::SignedTransaction;
use kerros_sequencer::metrics::{ALL, Kind};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;

/// Waits until batch 1 is final, with a prover at work.
pub async fn settled(site: &Site, process: &Process) {
    let proving = tokio::spawn(prove(site.key.clone(), site.domain, process.prover.clone()));
    let mut client = connect(process).await;
    for _ in 0..2_400 {
        if client.get_info(GetInfoRequest {}).await.unwrap().into_inner().final_batch > 0 {
            proving.abort();
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("nothing became final");
}

/// Stops by SIGTERM; everything the process has said.
pub async fn stopped(site: &Site, mut process: Process) -> String {
    process.signal("-TERM");
    assert_eq!(process.ended(Duration::from_secs(60)).await, Some(true), "exit code 0 in time");
    std::fs::read_to_string(site.said()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_json_log_is_an_event_and_a_batchs_life_can_be_read_from_them() {
    let mut site = Site::new().await;
    site.arguments = ["--log-format=json", "--log-filter=info"].map(str::to_owned).to_vec();
    let process = site.start();
    settled(&site, &process).await;
    let said = stopped(&site, process).await;
    let mut life = Vec::new();
    for line in said.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect(line);
        for field in ["timestamp", "level", "message", "target"] {
            assert!(event[field].is_string(), "{field} in {line}");
        }
        if event["batch"] == 1 {
            life.push(event["message"].as_str().unwrap().to_owned());
        }
    }
    let states = ["Open", "Sealed", "Proved", "Verified", "Posted", "Final"];
    life.retain(|message| states.contains(&message.as_str()));
    assert_eq!(life, states);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_is_told_in_the_logs_own_format() {
    let mut site = Site::new().await;
    site.arguments = vec!["--log-format=json".to_owned()];
    std::fs::write(site.path().join("key"), "no key").unwrap();
    let said = site.start_under(&[]).err().expect("no such key");
    // What follows is the exit status.
    let event = said.lines().next().unwrap_or_default();
    let event: serde_json::Value = serde_json::from_str(event).expect(&said);
    assert_eq!((&event["level"], &event["message"]), (&"ERROR".into(), &"ended".into()));
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.ends_with("exit status: 1"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_metric_is_served_once_a_batch_is_final_and_no_other() {
    let mut site = Site::new().await;
    site.arguments = vec!["--metrics-listen=127.0.0.1:0".to_owned()];
    let process = site.start();
    let told = Arc::new(Mutex::new(Told::default()));
    check(&process, &Told::default(), 0).await.unwrap();
    let payers = load(&site, &process, &told).await;
    let mut client = connect(&process).await;
    let request = SubmitTransactionRequest { transaction: vec![0; 10] };
    let refused = client.submit_transaction(request).await.unwrap_err();
    assert_eq!(reason(&refused), "TRANSACTION_MALFORMED");
    settled(&site, &process).await;
    // Gauges are set a few times a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let at = process.metrics.clone().unwrap();
    let (status, text) = page(&at, "/metrics").await;
    assert_eq!(status, 200);
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let (name, help) = (metric.name, metric.help);
        for line in [format!("# HELP {name} {help}"), format!("# TYPE {name} {kind}")] {
            assert!(text.lines().any(|served| served == line), "no `{line}` in\n{text}");
        }
        for label in metric.labels.split_whitespace() {
            let labelled = format!("{label}=\"");
            let mut lines = text.lines().filter(|line| line.starts_with(name));
            assert!(lines.any(|line| line.contains(&labelled)), "{name} has no label {label}");
        }
    }
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(ALL.iter().any(|metric| metric.name == name), "{name} is not documented");
    }
    for edge in ["Open,Sealed", "Sealed,Verified", "Verified,Posted", "Posted,Final"] {
        let (from, to) = edge.split_once(',').unwrap();
        let begin = format!("kerros_batch_edge_seconds_count{{from=\"{from}\",to=\"{to}\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&begin));
        assert!(count.is_some_and(|count| count.parse::<u64>().unwrap() > 0), "{begin}\n{text}");
    }
    process.kill();
    for payer in payers {
        payer.await.unwrap();
    }
}

/// Pays from the last payer's account over one stream until that ends; the status it ends with.
async fn pay_by_stream(
    domain: ark_bn254::Fr,
    address: String,
    told: Arc<Mutex<Told>>,
) -> tonic::Status {
    let url = format!("http://{address}");
    let mut client = SequencerServiceClient::connect(url).await.unwrap();
    let by = Some(get_account_request::By::Index(PAYERS.into()));
    let account = client.get_account(GetAccountRequest { by }).await.unwrap().into_inner();
    let mut nonce = account.account.unwrap().nonce;
    let (send, requests) = mpsc::channel(1);
    let answers = client.submit_transactions(ReceiverStream::new(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    loop {
        let transaction = transfer(PAYERS.into(), (1, 1), 1, 0, nonce);
        let bytes = SignedTransaction::sign(transaction, &secret(PAYERS), domain).encode();
        // Fails when the stream has ended: then there is no answer either.
        let _ = send.send(SubmitTransactionsRequest { transaction: bytes.clone() }).await;
        match answers.next().await.expect("a stream ends with its reason") {
            Ok(answer) => match answer.result.unwrap() {
                Outcome::Receipt(receipt) => {
                    told.lock().unwrap().transactions.push((bytes, receipt));
                }
                Outcome::Rejection(RejectionDetail { reason, .. }) => panic!("{reason}"),
            },
            Err(status) => return status,
        }
        nonce += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_with_open_streams_ends_in_time_and_loses_nothing_that_was_acknowledged() {
    let mut site = Site::new().await;
    site.arguments = vec!["--log-filter=info".to_owned()];
    let process = site.start();
    check(&process, &Told::default(), 0).await.unwrap();
    let told = Arc::new(Mutex::new(Told::default()));
    let mut client = connect(&process).await;
    // The last payer pays by stream.
    let unary = |payer| tokio::spawn(pay(site.domain, payer, client.clone(), Arc::clone(&told)));
    let payers: Vec<_> = (1..PAYERS).map(unary).collect();
    let watched = client.watch_batches(WatchBatchesRequest { from_number: 1 }).await.unwrap();
    let request = FollowReceiptsRequest { from_batch: 1, from_order: 0 };
    let followed = client.follow_receipts(request).await.unwrap();
    let mut health = health_client(&process.address).await;
    let health = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let stream =
        tokio::spawn(pay_by_stream(site.domain, process.address.clone(), Arc::clone(&told)));
    while told.lock().unwrap().transactions.len() < 100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let said = stopped(&site, process).await;
    assert!(!said.contains("open calls were cut off"), "{said}");
    assert_eq!(reason(&stream.await.unwrap()), "STOPPING");
    for payer in payers {
        payer.await.unwrap();
    }
    // Each stream was ended, not broken.
    assert!(watched.into_inner().collect::<Vec<_>>().await.iter().all(Result::is_ok));
    assert!(followed.into_inner().collect::<Vec<_>>().await.iter().all(Result::is_ok));
    let statuses: Vec<_> = health.map(|answer| answer.unwrap().status()).collect().await;
    assert_eq!(statuses.last(), Some(&ServingStatus::NotServing));
    let known = told.lock().unwrap().clone();
    let process = site.start();
    check(&process, &known, 0).await.unwrap();
    process.kill();
    crate::told::audit(&site, &known);
}
