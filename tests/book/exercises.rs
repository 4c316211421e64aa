//! Exercises and patches on a page.

use crate::fixture::{Fixture, given_back, said};

const PLAIN: &str = "chapters/06-plain.md";
const TOML: &str = "kind = \"change\"\neffort = \"an hour\"\nsteps = '''\nguest ls\n'''\n\
    [[point]]\nholds = \"It calls `tcp_v4_connect`, and `my_plank`.\"\nstep = 1\nshows = 'x'\n\
    otherwise = \"Not yet.\"\n";
const PATCH: &str =
    "--- a/net/a.c\n+++ b/net/a.c\n@@ -1 +1,3 @@\n one\n+int my_plank(void)\n+{ return 1 < 2; }\n";
const TEXT: &str = "## Exercises\n\n<!-- runner exercise larger-plank -->\n\nMake it larger.\n\n### More\n\nThink.\n\n";

/// The book with an exercise on its plain page, whose solution and description are these.
fn book(text: &str, toml: &str) -> Fixture {
    let book = Fixture::new().edit(PLAIN, "## In `tcp", &format!("{text}## In `tcp"));
    let folder = book.path("exercises/larger-plank");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("exercise.toml"), toml).unwrap();
    std::fs::write(folder.join("solution.patch"), PATCH).unwrap();
    std::fs::create_dir(book.path("patches")).unwrap();
    std::fs::write(book.path("patches/plank.patch"), PATCH).unwrap();
    std::fs::write(book.path("patches/knock.c"), "").unwrap();
    book
}

#[test]
fn an_exercise_has_its_points_and_its_solution_behind_its_statement() {
    let book = book(TEXT, TOML);
    let output = book.runner("", &["preprocess"], &book.sent(&book.book()));
    assert!(output.status.success(), "{}", said(&output));
    let page = &given_back(&output)[2].1;
    let at = |text: &str| {
        let at = page.find(text);
        at.unwrap_or_else(|| panic!("no {text:?} in {page}"))
    };
    let places = [
        "<div class=\"exercise exercise-change\" id=\"exercise-larger-plank\">",
        "change, an hour",
        "<code>runner exercise larger-plank</code>",
        "Make it larger.",
        "- It calls `tcp_v4_connect`, and `my_plank`.\n",
        "<details class=\"exercise-solution\">",
        "~~~~~~~~diff\n--- a/net/a.c\n",
        "\n~~~~~~~~\n\n</details>",
        "### More",
    ]
    .map(at);
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_patch_is_shown_whole_or_in_part() {
    let text = "<!-- runner kernel plank -->\n\n`my_plank` is new.\n\n<!-- runner patch plank -->\n\n\
        <!-- runner patch plank from='my_plank' to='}' -->\n\n";
    let book = book(text, TOML);
    std::fs::write(book.path("patches/plank.config"), "CONFIG_NET=y\n").unwrap();
    let output = book.runner("", &["preprocess"], &book.sent(&book.book()));
    // The exercise is not on the page.
    assert!(output.status.success(), "{}", said(&output));
    let page = &given_back(&output)[2].1;
    let whole = "<code class=\"language-diff\">--- a/net/a.c&#10;";
    assert!(page.contains(whole), "{page}");
    let config = "<figcaption><code>patches/plank.config</code></figcaption><pre>\
        <code class=\"language-ini\">CONFIG_NET=y&#10;</code></pre></figure>";
    assert_eq!(page.matches(config).count(), 1, "{page}");
    let part = "<code class=\"language-c\">int my_plank(void)&#10;{ return 1 &lt; 2; }&#10;</code>";
    assert!(page.contains(part), "{page}");
}

#[test]
fn what_is_wrong_with_one_is_told_with_its_place() {
    for (text, toml, told) in [
        (
            "<!-- runner exercise nobody -->\n\n",
            TOML.to_owned(),
            "chapters/06-plain.md:9: there is no exercise `nobody`",
        ),
        (
            "See <!-- runner exercise larger-plank -->\n\n",
            TOML.to_owned(),
            "chapters/06-plain.md:9: expected `<!-- runner exercise NAME -->`, alone on its line",
        ),
        (
            TEXT,
            TOML.replace("tcp_v4_connect", "tcp_v4_conect"),
            "exercises/larger-plank/exercise.toml:7: `tcp_v4_conect` was never recorded",
        ),
        (
            TEXT,
            TOML.replace("step = 1", "step = 2"),
            "exercises/larger-plank/exercise.toml:6: `step` is a number from 1 to 1",
        ),
        (
            "`my_plank` is new.\n\n",
            TOML.to_owned(),
            "chapters/06-plain.md:9: `my_plank` was never recorded",
        ),
        (
            "<!-- runner patch board -->\n\n",
            TOML.to_owned(),
            "chapters/06-plain.md:9: there is no patches/board.patch",
        ),
        (
            "<!-- runner patch knock -->\n\n",
            TOML.to_owned(),
            "chapters/06-plain.md:9: there is no patches/knock.patch and no patches/knock.config",
        ),
        (
            "<!-- runner patch plank to='void' from='return' -->\n\n",
            TOML.to_owned(),
            "chapters/06-plain.md:9: no line that patches/plank.patch adds has `void`",
        ),
        (
            "<!-- runner kernel -->\n\n",
            TOML.to_owned(),
            "chapters/06-plain.md:9: a chapter says once, on a line of its own, which patches",
        ),
    ] {
        let book = book(text, &toml);
        let output = book.runner("", &["preprocess"], &book.sent(&book.book()));
        assert_eq!(output.status.code(), Some(2), "{text}");
        let said = said(&output);
        assert!(said.contains(told), "{told}: {said}");
    }
}
