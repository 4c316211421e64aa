//! `runner show`, as mdbook-cmdrun's shell calls it.

use crate::fixture::{Fixture, said};

#[test]
fn a_recorded_step_is_printed_as_one_line() {
    let args = ["show", "5.1", "guest", "cat", "hostile"];
    let output = Fixture::new().runner("chapters", &args, "");
    assert!(output.status.success(), "{}", said(&output));
    let html = String::from_utf8(output.stdout).unwrap();
    assert_eq!(html.matches('\n').count(), 1);
    assert!(html.ends_with("</div>\n") && !html.contains("<!--"));
}

#[test]
fn words_that_look_like_options_belong_to_the_command() {
    let book = Fixture::new().edit(
        "tests/snapshots/6.1/06-plain.snap",
        "6.1 host uname",
        "6.1 host grep --help -- -x --version",
    );
    let words = "show 6.1 host grep --help -- -x --version";
    let args: Vec<&str> = words.split(' ').collect();
    let output = book.runner("chapters", &args, "");
    assert!(output.status.success(), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("grep --help -- -x --version"));
}

#[test]
fn what_was_not_recorded_is_refused() {
    let book = Fixture::new();
    for (words, part) in [
        (
            "show 5.1 guest cat other",
            "the snapshot has `guest cat hostile`",
        ),
        ("show 5.1 host cat hostile", "is `host cat hostile`"),
        ("show 5.7 guest ls /nowhere", "exit status 2"),
        ("show 5.99 guest ls", "never recorded"),
        ("show 9.1 guest ls", "no file for chapter 9"),
        ("show 5.1 gust ls", "`gust` is no terminal"),
    ] {
        let args: Vec<&str> = words.split(' ').collect();
        let output = book.runner("chapters", &args, "");
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(output.stdout.is_empty(), "{words}");
        assert!(said(&output).contains(part), "{words}: {}", said(&output));
    }
}

#[test]
fn several_steps_are_printed_each_on_its_line_whatever_is_wrong_with_one() {
    let words =
        "show;5.4 host true;5.1 guest cat other;5.2 guest 'printf \"%s\\n\" \"</pre>\" | cat'";
    let args: Vec<&str> = words.split(';').collect();
    let output = Fixture::new().runner("chapters", &args, "");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("the snapshot has `guest cat hostile`"));
    let html = String::from_utf8(output.stdout).unwrap();
    let steps: Vec<_> = html.lines().map(|line| line.split('"').nth(3)).collect();
    assert_eq!(steps, [Some("step-5.4"), Some("step-5.2")]);
}
