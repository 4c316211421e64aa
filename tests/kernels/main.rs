//! What "the same in meaning" is worth: a kernel that was built otherwise still passes the chapters, and one
//! that behaves otherwise does not.
//!
//! Ignored unless asked for, because a kernel is built here: about five minutes on two cores, and half a minute for
//! each change after that. The tree stays below target/, so a second run is quick.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use runner::cache::Cache;
use runner::kernel::{self, Kernel};
use runner::pins::Pins;
use runner::sources;

/// The fragment's lines that differ from the book's kernel: speed in place of size, which inlines and orders the
/// code anew, another tick, and drivers that the book does not have.
const OTHERWISE: &str = "
CONFIG_CC_OPTIMIZE_FOR_SIZE=n
CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE=y
CONFIG_HZ_100=n
CONFIG_HZ_250=y
CONFIG_DUMMY=y
CONFIG_TUN=y
";

/// A change of behaviour, planted in one line of the kernel.
struct Plant {
    what: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// The chapter that explains what is changed, and so must fail.
    chapter: &'static str,
}

const PLANTS: [Plant; 4] = [
    Plant {
        what: "inet_init is called one level earlier",
        file: "net/ipv4/af_inet.c",
        from: "fs_initcall(inet_init);",
        to: "subsys_initcall(inet_init);",
        chapter: "5",
    },
    Plant {
        what: "inet_init sets UDP up before TCP",
        file: "net/ipv4/af_inet.c",
        from: "\ttcp_init();\n\n\t/* Setup UDP memory threshold */\n\tudp_init();\n",
        to: "\tudp_init();\n\n\t/* Setup UDP memory threshold */\n\ttcp_init();\n",
        chapter: "5",
    },
    Plant {
        what: "the first task has another name",
        file: "include/linux/init_task.h",
        from: "#define INIT_TASK_COMM \"swapper\"",
        to: "#define INIT_TASK_COMM \"sweeper\"",
        chapter: "4",
    },
    Plant {
        what: "a new process is counted twice",
        file: "kernel/fork.c",
        from: "\ttotal_forks++;\n",
        to: "\ttotal_forks += 2;\n",
        chapter: "4",
    },
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The book's kernel, built otherwise, in a cache of this test's own.
fn built_otherwise() -> Kernel {
    let pins = Pins::read(&repository()).unwrap();
    let pin = pins.kernel(runner::SERIES).unwrap();
    let source = sources::kernel(&Cache::of_user().unwrap(), pin).unwrap();
    let fragment = repository().join(format!("kernel-configs/{}.config", runner::SERIES));
    let mut fragment: Vec<String> = std::fs::read_to_string(fragment)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    fragment.retain(|line| !line.starts_with("CONFIG_HZ_100"));
    let cache = Cache::at(Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels"));
    kernel::ready(&cache, pin, &(fragment.join("\n") + OTHERWISE), &source).unwrap()
}

fn replay(kernel: &Kernel, chapter: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_runner"))
        .args(["chapter", chapter, "--kernel"])
        .arg(&kernel.tree)
        .current_dir(repository())
        .output()
        .unwrap()
}

fn make(tree: &Path) {
    let made = Command::new("make")
        .args(["-s", "-j2", "bzImage"])
        .envs(kernel::environment(tree))
        .current_dir(tree)
        .status()
        .unwrap();
    assert!(made.success());
}

/// A file of the tree that gets its own content back, even from a run that was killed.
struct Planted {
    file: PathBuf,
    kept: PathBuf,
}

impl Planted {
    fn restore(file: PathBuf) -> Self {
        let kept = file.with_extension("book");
        if kept.exists() {
            std::fs::copy(&kept, &file).unwrap();
        } else {
            std::fs::copy(&file, &kept).unwrap();
        }
        Self { file, kept }
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        std::fs::copy(&self.kept, &self.file).unwrap();
    }
}

#[test]
#[ignore = "builds another kernel, which takes minutes"]
fn meaning_survives_another_build_and_no_other_behaviour() {
    let kernel = built_otherwise();
    for plant in &PLANTS {
        Planted::restore(kernel.tree.join(plant.file));
    }
    make(&kernel.tree);
    for chapter in ["4", "5"] {
        let output = replay(&kernel, chapter);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(
            stdout.contains("the same in meaning"),
            "chapter {chapter}: {stdout}"
        );
        assert_eq!(output.status.code(), Some(0));
    }
    let survivors: Vec<_> = PLANTS
        .iter()
        .filter(|plant| survives(&kernel, plant))
        .collect();
    let names: Vec<_> = survivors.iter().map(|plant| plant.what).collect();
    println!(
        "{} of {} planted changes were noticed",
        PLANTS.len() - names.len(),
        PLANTS.len()
    );
    assert!(names.is_empty(), "not noticed: {names:?}");
}

/// Whether the chapter still passes with the change in the kernel.
fn survives(kernel: &Kernel, plant: &Plant) -> bool {
    let planted = Planted::restore(kernel.tree.join(plant.file));
    let text = std::fs::read_to_string(&planted.file).unwrap();
    assert_eq!(
        text.matches(plant.from).count(),
        1,
        "{}: {}",
        plant.file,
        plant.from
    );
    std::fs::write(&planted.file, text.replace(plant.from, plant.to)).unwrap();
    make(&kernel.tree);
    let output = replay(kernel, plant.chapter);
    println!("{}: exit {:?}", plant.what, output.status.code());
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    output.status.success()
}
