mod limits { pub const SUSPECT_CHUNK_MAX: usize = 8; pub const FRESH_MAX: usize = 8; pub const FRESH_CHUNK: usize = 16; }
mod reply { pub struct Reply; }
mod seats { pub struct Seat; pub struct Source { pub id: u64 } impl Source { pub fn is_suspect(&self) -> bool { false } } }
mod intake { include!("intake_in.rs"); }
use std::sync::Arc;
fn main() {
    let intake = intake::Intake::default();
    let src = |id| Arc::new(seats::Source { id });
    let raw = |s: &Arc<seats::Source>| intake::Raw { source: Arc::clone(s), bytes: vec![], stream: 0, reply: reply::Reply, seat: seats::Seat };
    let honest = src(1);
    for _ in 0..200 { intake.push(raw(&honest)); }
    intake.take(64); // its fresh turn
    let sparse: Vec<_> = (2..10).map(src).collect(); // 8 connections, 8 requests under way each: their own seats
    let mut served = 0;
    for round in 0..10_000 {
        // each sends its next 8 as soon as the last 8 were taken
        for s in &sparse { if round == 0 { for _ in 0..8 { intake.push(raw(s)); } } }
        let chunk = intake.take(64).unwrap();
        for it in &chunk.items { if it.source.id == 1 { served += 1 } }
        for s in &sparse { let n = chunk.items.iter().filter(|i| i.source.id == s.id).count(); for _ in 0..n { intake.push(raw(s)); } }
    }
    println!("10,000 chunks of 64 taken, {served} of the honest backlog's transactions among them");
}
