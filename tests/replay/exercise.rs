//! `runner exercise`: from its listing to its verdict, for each kind of exercise.

use std::fs;

use crate::fixture::{Book, Ran};

const TEXT: &str = "# Five\n\n```console\n\
    <!-- cmdrun runner show 5.1 guest cat /proc/sys/net/ipv4/tcp_syn_retries -->\n```\n\n\
    ## Exercises\n\n\
    <!-- runner exercise how-long -->\n\nHow many hops?\n\n\
    <details>\n<summary>Hint</summary>\n\nAsk `sysctl`.\n\n</details>\n\n\
    <!-- runner exercise say-it -->\n\nSay it.\n\n\
    <!-- runner exercise other-words -->\n\nSay something else.\n\n\
    <!-- runner exercise short-life -->\n\nMake it shorter.\n\n### More\n\n- Think.\n";

const PREDICT: &str = r#"
kind = "predict"
steps = '''
guest cat /proc/sys/net/ipv4/ip_default_ttl
'''
answer = "64"
[[point]]
holds = "It is so."
step = 1
value = '(\d+)'
otherwise = "Think of powers of two."
[[point.wrong]]
answer = "255"
why = "That is the most there can be."
[[wrong]]
answer = "255"
why = "the most"
[[wrong]]
answer = "32"
why = "powers of two"
"#;

const OBSERVE: &str = r#"
kind = "observe"
given = '''
guest word=ship
'''
steps = '''
guest 'echo "it is ${said:-nothing}"'
'''
[[point]]
holds = "The word is said."
step = 1
shows = '^it is ship$'
otherwise = "It is another word."
[[point.wrong]]
shows = 'nothing'
why = "Nothing was said."
[[wrong]]
answer = "other.steps"
why = "another word"
"#;

const PROGRAM: &str = r#"
kind = "change"
effort = "one line"
program = "words.c"
steps = '''
guest words
'''
[[point]]
holds = "The program says `plank`."
step = 1
shows = '^plank$'
otherwise = "It says something else."
[[point.wrong]]
shows = '^ship$'
why = "It says what it said."
[[point]]
holds = "It ends well."
step = 1
lacks = 'exit status'
otherwise = "It returns what it should not."
"#;

const KERNEL: &str = r#"
kind = "change"
effort = "one line"
steps = '''
guest cat /proc/sys/net/ipv4/ip_default_ttl
'''
[[point]]
holds = "The life is shorter by one."
step = 1
shows = '^63$'
otherwise = "It is neither the book's nor shorter by one."
[[point.wrong]]
shows = '^64$'
why = "It is the book's still."
[[point]]
holds = "The chapter notices nothing else."
chapter = 5
otherwise = "It notices."
"#;

const WORDS: &str = "#include <stdio.h>\nint main(void) { puts(\"ship\"); return 0; }\n";

/// A book of one chapter with four exercises.
fn book() -> Book {
    let book = Book::with_text(TEXT.as_bytes());
    for (name, text) in [
        ("how-long", PREDICT),
        ("say-it", OBSERVE),
        ("other-words", PROGRAM),
        ("short-life", KERNEL),
    ] {
        write(&book, &format!("exercises/{name}/exercise.toml"), text);
    }
    write(&book, "exercises/other-words/start.c", WORDS);
    write(
        &book,
        "exercises/say-it/solution.steps",
        "guest 'said=$word'\n",
    );
    write(
        &book,
        "exercises/say-it/wrong/other.steps",
        "guest said=plank\n",
    );
    book
}

fn write(book: &Book, file: &str, text: &str) {
    let path = book.folder.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn exercise(book: &Book, arguments: &[&str]) -> Ran {
    book.run(&[&["exercise"], arguments].concat())
}

#[test]
fn a_prediction_and_an_observation_are_graded() {
    let book = book();
    exercise(&book, &["how-long"])
        .ends_with(0)
        .prints("how-long (chapter 5, predict)\n\nHow many hops?\n\nWhat will be checked:\n- It is so.\n")
        .prints("runner exercise how-long check ANSWER");
    exercise(&book, &["how-long", "hint"]).prints("Ask `sysctl`.\n");
    let missed = exercise(&book, &["how-long", "check", "255"]);
    missed
        .ends_with(1)
        .prints("✗ It is so.\n  That is the most there can be.\n\n0 of 1 points\n");
    assert!(!missed.stdout.contains("64"), "it tells: {}", missed.stdout);
    exercise(&book, &["how-long", "check", "64"])
        .ends_with(0)
        .prints("✓ It is so.\n\n1 of 1 points\n");
    exercise(&book, &["how-long", "check"])
        .ends_with(2)
        .complains("say what you expect");

    let check = || exercise(&book, &["say-it", "check"]);
    check().ends_with(2).complains(
        "there is no file answers/say-it/answer.steps yet; set it up: runner exercise say-it",
    );
    exercise(&book, &["say-it"])
        .ends_with(0)
        .prints("runner exercise say-it shell")
        .prints(".save answers/say-it/answer.steps");
    let file = "answers/say-it/answer.steps";
    write(&book, file, "# Nothing yet.\n");
    check().ends_with(1).prints(
        "Nothing was said.\n    guest# echo \"it is ${said:-nothing}\"\n    it is nothing\n",
    );
    write(&book, file, "\nguset said=ship\n");
    check()
        .ends_with(2)
        .complains("answers/say-it/answer.steps:2: `guset` is no terminal");
    write(&book, file, "guest true\nlab ls\n");
    check()
        .ends_with(2)
        .complains("answers/say-it/answer.steps:2: the machine of an exercise has no lab");
    fs::write(book.folder.path().join(file), b"guest \xff\n").unwrap();
    check()
        .ends_with(2)
        .complains("answers/say-it/answer.steps:1: ");
    // What went wrong in the reader's own steps is told.
    write(&book, file, "guest sayd=ship\nguest cat /nowhere\n");
    check().ends_with(1).prints(
        "answers/say-it/answer.steps:2: `cat /nowhere` ended with exit status 1: cat: can't open",
    );
    // What `.save` of a shell writes.
    let saved = "```console\n<!-- cmdrun runner show 0.2 guest 'said=$word' -->\n```\n";
    write(&book, file, saved);
    check().ends_with(0).prints("1 of 1 points");
    exercise(&book, &["say-it"]);
    let kept = fs::read_to_string(book.folder.path().join(file));
    assert_eq!(kept.unwrap(), saved);
    // A verdict does not hang on what was reached before, and that is not lost.
    write(&book, "answers/progress.json", "{ damaged");
    check()
        .ends_with(0)
        .complains("answers/progress.json is damaged; mend it, or remove it and begin anew");
    let progress = book.folder.path().join("answers/progress.json");
    assert_eq!(fs::read_to_string(progress).unwrap(), "{ damaged");

    for name in ["how-long", "say-it"] {
        let proved = exercise(&book, &[name, "prove"]);
        proved.ends_with(0);
        assert!(!proved.stdout.contains('✗'), "{}", proved.stdout);
    }
    write(
        &book,
        "exercises/say-it/wrong/other.steps",
        "guest 'said=$word'\n",
    );
    exercise(&book, &["say-it", "prove"])
        .ends_with(1)
        .prints("✗ other.steps fails: another word\n      it reaches all points\n");
    // One that cannot be tried keeps no other from being tried, or listed.
    let toml = OBSERVE.replace("step = 1", "step = 7");
    write(&book, "exercises/say-it/exercise.toml", &toml);
    exercise(&book, &["say-it", "prove"])
        .ends_with(1)
        .prints("it cannot be tried\n      exercises/say-it/exercise.toml:");
    exercise(&book, &[])
        .ends_with(0)
        .prints("`step` is a number from 1 to 1")
        .prints(" 5  short-life   change   one line\n");
    exercise(&book, &["nobody"])
        .ends_with(2)
        .complains("there is no exercise `nobody`; `runner exercise` lists them");
}

#[test]
fn a_program_and_a_kernel_are_graded_and_what_was_reached_is_kept() {
    let book = book();
    book.keep(&book.run(&["chapter", "5", "--json"]));
    exercise(&book, &["other-words"])
        .ends_with(0)
        .prints("Change answers/other-words/words.c, and then: runner exercise other-words check");
    let check = || exercise(&book, &["other-words", "check"]);
    check().ends_with(1).prints("It says what it said.");
    let file = "answers/other-words/words.c";
    write(
        &book,
        file,
        &WORDS.replace("ship", "plank").replace("0;", "3;"),
    );
    check()
        .ends_with(1)
        .prints("✓ The program says `plank`.\n✗ It ends well.\n  It returns what it should not.\n")
        .prints("1 of 2 points");
    write(
        &book,
        file,
        &WORDS.replace("return 0", "*(volatile int *)0 = 0"),
    );
    check()
        .ends_with(1)
        .prints("words.c crashed at `words`: Segmentation fault\n")
        .prints("0 of 2 points");
    write(&book, file, &WORDS.replace("puts(\"ship\")", "puts(ship)"));
    check()
        .ends_with(1)
        .complains("words.c does not compile")
        .complains("'ship' undeclared");
    write(&book, file, &WORDS.replace("ship", "plank"));
    check().ends_with(0);

    let made = exercise(&book, &["short-life"]);
    made.ends_with(0).prints("Change planks/short-life/linux");
    exercise(&book, &["short-life", "check"])
        .ends_with(1)
        .prints("✗ The life is shorter by one.\n  It is the book's still.\n")
        .prints("✓ The chapter notices nothing else.");
    let path = book
        .folder
        .path()
        .join("planks/short-life/linux/net/ipv4/af_inet.c");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("= IPDEFTTL;", "= IPDEFTTL - 1;")).unwrap();
    exercise(&book, &["short-life", "check"])
        .ends_with(0)
        .prints("2 of 2 points");

    // The best is kept, whatever is tried afterwards.
    write(&book, file, WORDS);
    check().ends_with(1);
    let listed = exercise(&book, &[]);
    listed
        .prints(" 5  other-words  change   one line      solved\n")
        .prints(" 5  short-life   change   one line      solved\n");
}
