//! Files of public ceremonies against snarkjs.
#[test]
fn placeholder_until_the_type_is_here() {}
