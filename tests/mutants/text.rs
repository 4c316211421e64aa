//! Mistakes of the text: every kind is planted in a copy of the book, one at a time, and each must
//! stop its build at its own line.
//!
//! A wrong name must moreover be unknown to the kernel itself, or an author could record it. The
//! lab is needed for that, but nothing boots. What a step prints is not the build's to check; the
//! replays do it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use book::prose::resolve::resolve;
use book::prose::shape;
use book::symbols::Index;
use lab::build::setup::{self, Options};
use serde_json::{Value, json};

use crate::seed::{Random, seed};
use crate::{repository, turn};

/// What kind of mistake it is, and so who has to notice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// A name in the text, which the kernel has not.
    Name,
    /// A step, a snapshot or a list.
    Book,
}

/// What is changed, where, and how: the first place that has the text, and where that is followed
/// to.
struct Mutant(Of, &'static str, &'static str, &'static str);

use Of::{Book as B, Name as N};

const CH1: &str = "chapters/01-build-the-kernel.md";
const CH2: &str = "chapters/02-build-busybox.md";
const CH3: &str = "chapters/03-boot.md";
const CH4: &str = "chapters/04-start-kernel.md";
const CH5: &str = "chapters/05-inet-init.md";
const CH6: &str = "chapters/06-tcp-handshake.md";
const CH7: &str = "chapters/07-closing.md";
const CH8: &str = "chapters/08-what-can-go-wrong.md";
const CH9: &str = "chapters/09-routing.md";
const CH10: &str = "chapters/10-arp.md";
const CH11: &str = "chapters/11-tap-and-nat.md";
const CH14: &str = "chapters/14-send.md";
const CH16: &str = "chapters/16-planks.md";
const EXEMPT: &str = "tests/exempt.toml";
const SNAPSHOT: &str = "tests/snapshots/6.1/06-tcp-handshake.snap";

const MUTANTS: [Mutant; 48] = [
    // A letter of a function.
    Mutant(N, CH6, "`tcp_v4_connect`", "`tcp_v4_conect`"),
    Mutant(N, CH10, "`neigh_resolve_output`", "`neigh_resolv_output()`"),
    Mutant(N, CH5, "`do_initcall_level`", "`do_initcalls_level`"),
    Mutant(N, CH7, "`__tcp_close`", "`_tcp_close`"),
    Mutant(
        N,
        CH5,
        "`fs_initcall(inet_init)`",
        "`fs_initcall(inet_int)`",
    ),
    // Names of Linux 4.19 that 6.1 has no more.
    Mutant(N, CH5, "`rest_init`", "`_do_fork`"),
    Mutant(N, CH7, "`tcp_time_wait`", "`do_gettimeofday`"),
    Mutant(N, CH9, "`fib_check_nh_v4_gw`", "`nh_gw`"),
    Mutant(N, CH6, "`sk_ack_backlog`", "`skb_mstamp`"),
    // Members, alone and in paths.
    Mutant(N, CH10, "`nud_state`", "`nud_stat`"),
    Mutant(N, CH6, "`icsk_pending`", "`icks_pending`"),
    Mutant(
        N,
        CH6,
        "`sk->__sk_common.skc_state`",
        "`sk->__sk_common.skc_stat`",
    ),
    Mutant(
        N,
        CH6,
        "`sk->__sk_common.skc_state`",
        "`sk->__sk_common.nud_state`",
    ),
    // Types.
    Mutant(N, CH10, "`struct neighbour`", "`struct neighbor`"),
    Mutant(N, CH1, "`struct sk_buff`", "`union sk_buff`"),
    Mutant(N, CH9, "`key_vector`", "`key_vectors`"),
    // Macros.
    Mutant(N, CH7, "`TCP_TIMEWAIT_LEN`", "`TCP_TIMEWAIT_LENGTH`"),
    Mutant(N, CH10, "`NUD_STALE`", "`NUD_STALL`"),
    // Enumerators.
    Mutant(N, CH6, "`TCP_SYN_SENT`", "`TCP_SYN_SEND`"),
    Mutant(N, CH9, "`RT_TABLE_MAIN`", "`RT_TABLES_MAIN`"),
    // Files and folders of the source; the third is that of Linux 4.19.
    Mutant(N, CH6, "`net/ipv4/tcp_input.c`", "`net/ipv4/tcp_in.c`"),
    Mutant(N, CH4, "`head64.c`", "`head46.c`"),
    Mutant(
        N,
        CH9,
        "`Documentation/networking/fib_trie.rst`",
        "`Documentation/networking/fib_trie.txt`",
    ),
    Mutant(
        N,
        CH11,
        "`net/ipv4/ip_forward.c`",
        "`net/ipv4/ip_forward.c:9999`",
    ),
    Mutant(N, CH1, "`net/core`", "`net/cores`"),
    // Options, and their values.
    Mutant(N, CH1, "`CONFIG_GDB_SCRIPTS`", "`CONFIG_GDB_SCRIPT`"),
    Mutant(
        N,
        CH1,
        "`CONFIG_RANDOMIZE_BASE`",
        "`CONFIG_RANDOMIZE_BASE=y`",
    ),
    // Files of the guest, and a tracepoint.
    Mutant(
        N,
        CH8,
        "`net.ipv4.tcp_abort_on_overflow`",
        "`net.ipv4.tcp_abort_on_overlow`",
    ),
    Mutant(N, CH8, "`tcp_syn_retries`", "`tcp_syn_retrys`"),
    Mutant(N, CH9, "`/proc/net/fib_triestat`", "`/proc/net/fib_tries`"),
    Mutant(N, CH3, "`/proc/partitions`", "`/proc/partition`"),
    Mutant(N, CH8, "`tcp_v4_send_reset`", "`tcp:tcp_send_resets`"),
    // Steps: another command, terminal or number, and a line that was never printed.
    Mutant(B, CH6, "gdb tbreak tcp_v4_rcv", "gdb break tcp_v4_rcv"),
    Mutant(B, CH6, "show 6.32 guest", "show 6.32 server"),
    Mutant(B, CH5, "show 5.3 ", "show 5.4 "),
    Mutant(
        B,
        CH2,
        "<!-- cmdrun runner show 2.3 ",
        "hello\n<!-- cmdrun runner show 2.3 ",
    ),
    Mutant(B, CH6, "runner show 6.66 gdb", "runner shows 6.66 gdb"),
    // A snapshot whose command is another; and exemptions that nothing needs, or that hide a name.
    Mutant(
        B,
        SNAPSHOT,
        "6.66 gdb tbreak tcp_v4_rcv",
        "6.66 gdb tbreak tcp_v4_rc",
    ),
    Mutant(B, EXEMPT, "\"has_journal\"", "\"has_journals\""),
    Mutant(B, EXEMPT, "\"has_journal\"", "\"tcp_v4_rcv\""),
    // Numbers: typed, of a step that is not there or shows no such thing, and of a name without a
    // value; source of a name that the kernel has not, and of what has no lines.
    Mutant(B, CH14, "{{14.37}}", "192"),
    Mutant(B, CH14, "{{14.37}}", "{{14.999}}"),
    Mutant(B, CH14, "{{14.37}}", "{{14.38}}"),
    Mutant(B, CH14, "{{14.37}}", "{{14.37 lenght}}"),
    Mutant(B, CH14, "{{14.37}}", "{{tcp_v4_rcv}}"),
    Mutant(
        B,
        CH14,
        "runner source tcp_write_xmit",
        "runner source tcp_write_xmitt",
    ),
    Mutant(
        B,
        CH16,
        "runner patch initial-window",
        "runner patch initial-window from='x",
    ),
    Mutant(
        B,
        CH14,
        "runner source tcp_write_xmit",
        "runner sources tcp_write_xmit",
    ),
];

/// A copy of the book, with what its build reads.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["chapters", "tests/snapshots/6.1"] {
        std::fs::create_dir_all(folder.path().join(part)).unwrap();
        for entry in repository().join(part).read_dir().unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let to = folder.path().join(part).join(entry.file_name());
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    for file in ["book.toml", EXEMPT] {
        std::fs::copy(repository().join(file), folder.path().join(file)).unwrap();
    }
    // No mistake is planted there.
    for part in ["exercises", "patches"] {
        std::os::unix::fs::symlink(repository().join(part), folder.path().join(part)).unwrap();
    }
    folder
}

/// The build's own check, where no lab is to be found.
fn preprocess(root: &Path) -> Output {
    let context = json!({ "config": { "book": { "src": "chapters" } }, "renderer": "html" });
    let mut names: Vec<String> = root
        .join("chapters")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md") && name != "SUMMARY.md")
        .collect();
    names.sort();
    let pages = names.iter().map(|name| {
        let text = std::fs::read_to_string(root.join("chapters").join(name)).unwrap();
        json!({ "Chapter": { "source_path": name, "content": text, "sub_items": [] } })
    });
    let book = json!({ "items": pages.collect::<Vec<Value>>() });
    let mut child = Command::new(env!("CARGO_BIN_EXE_runner"))
        .arg("preprocess")
        .current_dir(root)
        .env("XDG_CACHE_HOME", root.join("cache"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), &(context, book)).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn planted_mistakes_of_the_day_stop_the_build() {
    stop_the_build(&Random::new("mistakes").sample(MUTANTS.iter().collect(), 8));
}

#[test]
#[ignore = "eight of them are planted each day, and all every night"]
fn planted_mistakes_stop_the_build() {
    let _turn = turn();
    stop_the_build(&MUTANTS.iter().collect::<Vec<_>>());
}

fn stop_the_build(mutants: &[&Mutant]) {
    let options = Options::new(repository()).unwrap();
    let lab = setup::ready(&options).unwrap();
    let index = Index::ready(&repository(), &options.cache, &lab).unwrap();
    let book = copy();
    let sound = preprocess(book.path());
    assert!(sound.status.success(), "{sound:#?}");
    let mut survivors = Vec::new();
    for mutant in mutants {
        if let Err(why) = caught(mutant, book.path(), &index) {
            survivors.push(format!("{}: {} → {}: {why}", mutant.1, mutant.2, mutant.3));
        }
    }
    let caught = mutants.len() - survivors.len();
    println!(
        "text: {caught} of {} planted mistakes noticed",
        mutants.len()
    );
    assert!(
        survivors.is_empty(),
        "THESEUS_SEED={}: {survivors:#?}",
        seed()
    );
}

#[test]
fn each_mistake_has_its_place() {
    let gone = MUTANTS.iter().filter(|Mutant(_, file, from, _)| {
        let text = std::fs::read_to_string(repository().join(file)).unwrap();
        !text.contains(from)
    });
    let gone: Vec<_> = gone.map(|Mutant(_, file, from, _)| (file, from)).collect();
    assert!(gone.is_empty(), "no file has these texts: {gone:?}");
}

/// Whether the mistake is noticed, and at its place.
fn caught(mutant: &Mutant, root: &Path, index: &Index) -> Result<(), String> {
    let Mutant(of, file, from, to) = *mutant;
    let path = root.join(file);
    let before = std::fs::read_to_string(&path).unwrap();
    let at = before
        .find(from)
        .unwrap_or_else(|| panic!("{file} holds no {from}"));
    std::fs::write(&path, before.replacen(from, to, 1)).unwrap();
    let output = preprocess(root);
    std::fs::write(&path, &before).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(2) {
        return Err("the book is built".to_owned());
    }
    // A fault of a snapshot stands at the step.
    let line = before[..at].matches('\n').count() + 1;
    let place = format!("{file}:{line}: ");
    if file != SNAPSHOT && !said.contains(&place) {
        return Err(format!("not at line {line}: {said}"));
    }
    if of == Of::Name {
        let shape = shape::shape(to.trim_matches('`')).ok_or("no claim")?;
        if let Ok(found) = resolve(index, &shape) {
            return Err(format!("the kernel has it: {found:?}"));
        }
    }
    Ok(())
}
