//! What transformations refuse, in their words, and next to each case what they take.

#[test]
fn refusals_and_their_passing_twins() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/transform/fail/*.rs");
    cases.pass("tests/ui/transform/pass/*.rs");
}
