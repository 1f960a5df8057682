//! tmp
fn main(){ let s="4,2,16,4,2".parse().unwrap(); println!("{}", kerros_circuits::report::report(&s)); }
