//! What `#[derive(Header)]`, `#[derive(OptionSet)]`, `stack_parser!` and the editor refuse, in which words, and what they take:
//! every refusal has a twin that differs in the fault alone.

#[test]
fn refusals_and_their_twins() {
    let cases = trybuild::TestCases::new();
    for class in ["header", "options", "stack", "editor"] {
        cases.compile_fail(format!("tests/ui/{class}/fail/*.rs"));
        cases.pass(format!("tests/ui/{class}/pass/*.rs"));
    }
}
