//! A test's name says subject, condition and result, in few words.

use bailey_architecture::{files, functions};

const WORDS: usize = 8;

#[test]
fn test_names_have_at_most_eight_words() {
    let (mut tests, mut long) = (0, Vec::new());
    for path in files::sources() {
        for function in functions::find(&path, &files::text(&path)) {
            tests += usize::from(function.is_test);
            let words = function.name.split('_').count();
            if function.is_test && words > WORDS {
                let (path, line) = (files::relative(&path), function.line);
                long.push(format!("{path}:{line}: {} ({words})", function.name));
            }
        }
    }
    assert!(tests > 100, "only {tests} tests were found");
    assert!(long.is_empty(), "over {WORDS} words:\n{}", long.join("\n"));
}
