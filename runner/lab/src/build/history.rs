//! A clone of Linux of the reader's: its commits, and which one git's bisection tries next.
//!
//! git keeps HEAD, the index and the bisection of each work tree of a clone apart. So whatever is
//! done in a work tree of the runner's own (`build::bench`), the reader's checkout and a bisection
//! that the reader has under way stay as they are.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use walkdir::WalkDir;

use crate::Error;
use crate::build::kernel;
use crate::system::files::write_whole;
use crate::system::process::Process;

/// What git is told each time: no hooks of the reader's, and nothing that goes on behind its back.
const PLAIN: [&str; 4] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
];
/// What leads git to another clone than the one that it is asked about (`git rev-parse
/// --local-env-vars`): a hook or an alias has some of it set.
const ELSEWHERE: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PREFIX",
];
/// What a shell says whose program is not there.
const NO_PROGRAM: i32 = 127;
/// How a bisection's log begins the lines about its end.
const FOUND: &str = "# first bad commit: [";
const POSSIBLE: &str = "# possible first bad commit: [";
/// And how it begins what it prints about the rest.
const LEFT: &str = "Bisecting: ";

/// A clone, asked in one of its work trees.
#[derive(Debug, Clone)]
pub struct History {
    /// Where git is asked.
    folder: PathBuf,
    /// Where all work trees of the clone have their commits.
    common: PathBuf,
}

/// What git's bisection says next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A commit is to be tried.
    Try {
        /// Its hash.
        commit: String,
        /// How much is left after it, in git's words.
        left: String,
    },
    /// This is the one that is looked for.
    Found(String),
    /// It is one of these, of which all but one cannot be tried.
    OneOf(Vec<String>),
}

impl History {
    /// The clone that a folder belongs to.
    ///
    /// # Errors
    /// [`Error::Unfit`] when git knows none there; when git is not there itself.
    pub fn find(given: &Path) -> Result<Self> {
        if !given.is_dir() {
            bail!(unfit(given, "there is no such folder"));
        }
        let words = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
        let asked = run(given, &words)?;
        if !asked.status.success() {
            let why = format!(
                "git knows no clone there, and a clone of Linux is needed \
                 (git clone https://git.kernel.org/pub/scm/linux/kernel/git/stable/linux.git); \
                 it says: {}",
                said(&asked.stderr)
            );
            bail!(unfit(given, &why));
        }
        Ok(Self {
            folder: given.to_owned(),
            common: PathBuf::from(said(&asked.stdout)),
        })
    }

    /// Where all work trees of the clone have their commits.
    #[must_use]
    pub fn common(&self) -> &Path {
        &self.common
    }

    /// The same clone, asked in a work tree of the runner's own, which begins at this commit and is
    /// empty: nothing is checked out.
    ///
    /// # Errors
    /// What git says.
    pub(super) fn in_new_tree(&self, tree: &Path, commit: &str) -> Result<Self> {
        let path = tree.display().to_string();
        // The folder may have been removed, and git still remember it.
        let force = ["worktree", "add", "--force", "--force"];
        let add = ["--no-checkout", "--detach", &path, commit];
        self.ask(&[&force[..], &add].concat())?;
        Ok(self.in_tree(tree))
    }

    /// The same clone, asked in a work tree that was made before.
    pub(super) fn in_tree(&self, tree: &Path) -> Self {
        Self {
            folder: tree.to_owned(),
            common: self.common.clone(),
        }
    }

    /// Whether a folder is a work tree of the clone: git would take one for a part of another clone
    /// that it happens to lie in.
    pub(super) fn has_tree(&self, tree: &Path) -> bool {
        let words = ["rev-parse", "--path-format=absolute"];
        let which = ["--show-toplevel", "--git-common-dir"];
        let told = self.in_tree(tree).ask(&[words, which].concat());
        let (Ok(told), Ok(tree)) = (told, fs::canonicalize(tree)) else {
            return false;
        };
        let expected = [tree.display(), self.common.display()];
        told.lines().eq(expected.map(|path| path.to_string()))
    }

    /// The commit of a name.
    ///
    /// # Errors
    /// [`Error::Unfit`] when the clone has none of this name.
    pub fn commit(&self, name: &str) -> Result<String> {
        let wanted = format!("{name}^{{commit}}");
        let words = ["rev-parse", "--verify", "--quiet", "--end-of-options"];
        let asked = run(&self.folder, &[&words[..], &[&wanted]].concat())?;
        if asked.status.success() {
            return Ok(said(&asked.stdout));
        }
        let is_shallow = self.ask(&["rev-parse", "--is-shallow-repository"])? == "true";
        let why = match is_shallow {
            true => " (the clone has a part of its history only: git fetch --unshallow)",
            false => "",
        };
        let why = format!("it has no commit `{name}`{why}");
        bail!(unfit(&self.folder, &why))
    }

    /// Whether one commit leads to the other, so that there is something between them.
    ///
    /// # Errors
    /// [`Error::Unfit`] when it does not: with what to name in its place.
    pub fn check_order(&self, good: &str, bad: &str) -> Result<()> {
        if good == bad {
            bail!(Error::Unfit(format!(
                "--good and --bad are the same commit, {}; name an older one with --good",
                short(good)
            )));
        }
        if self.leads_to(good, bad)? {
            return Ok(());
        }
        let (older, later) = (short(good), short(bad));
        if self.leads_to(bad, good)? {
            bail!(Error::Unfit(format!(
                "--good must be the older commit, and {older} comes after {later}; exchange the two: \
                 --good only says as what the step counts as it was, and not that it is any good"
            )));
        }
        let base = run(&self.folder, &["merge-base", good, bad])?;
        let base = match said(&base.stdout) {
            base if base.is_empty() => "they have none in common".to_owned(),
            base => format!("both come from {}, which may serve as --good", short(&base)),
        };
        bail!(Error::Unfit(format!(
            "--good must be an ancestor of --bad, and {older} is none of {later}; {base}"
        )))
    }

    fn leads_to(&self, older: &str, later: &str) -> Result<bool> {
        let words = ["merge-base", "--is-ancestor", older, later];
        let asked = run(&self.folder, &words)?;
        match asked.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => bail!("git merge-base fails: {}", said(&asked.stderr)),
        }
    }

    /// How many commits come after one, up to the other.
    ///
    /// # Errors
    /// What git says.
    pub fn count(&self, good: &str, bad: &str) -> Result<usize> {
        let count = self.ask(&["rev-list", "--count", &format!("{good}..{bad}")])?;
        Ok(count.parse()?)
    }

    /// The version of the kernel at a commit.
    ///
    /// # Errors
    /// [`Error::Unfit`] when there is no kernel in it.
    pub fn version(&self, commit: &str) -> Result<String> {
        let makefile = self.text(commit, "Makefile")?.unwrap_or_default();
        kernel::version(&makefile).with_context(|| {
            let commit = short(commit);
            let why =
                format!("commit {commit} holds no Linux: it has no Makefile that gives a version");
            unfit(&self.folder, &why)
        })
    }

    /// What a file says at a commit, if it is there.
    ///
    /// # Errors
    /// When git cannot be asked.
    pub fn text(&self, commit: &str, file: &str) -> Result<Option<String>> {
        let asked = run(&self.folder, &["show", &format!("{commit}:{file}")])?;
        let text = String::from_utf8_lossy(&asked.stdout).into_owned();
        Ok(asked.status.success().then_some(text))
    }

    /// A commit as git shows it: hash, author's date, subject.
    ///
    /// # Errors
    /// What git says.
    pub fn shown(&self, commit: &str) -> Result<String> {
        let form = "--format=commit %H%nDate:   %ad%n%n    %s";
        self.ask(&["show", "--no-patch", "--no-color", form, commit])
    }

    /// The subject of a commit, behind the beginning of its hash.
    ///
    /// # Errors
    /// What git says.
    pub fn subject(&self, commit: &str) -> Result<String> {
        let subject = self.ask(&["show", "--no-patch", "--no-color", "--format=%s", commit])?;
        Ok(format!("{} {subject}", short(commit)))
    }

    /// The files that two commits both have, and not alike, of those whose names end so.
    ///
    /// # Errors
    /// What git says.
    pub fn changed(&self, from: &str, to: &str, ends: &[&str]) -> Result<Vec<String>> {
        let words = ["diff", "--name-only", "-z", "--no-renames"];
        let which = ["--diff-filter=M", from, to, "--"];
        let files = self.ask(&[&words[..], &which, ends].concat())?;
        let files = files.split('\0').filter(|file| !file.is_empty());
        Ok(files.map(str::to_owned).collect())
    }

    /// What git's bisection between two commits says, in this work tree, after these were tried:
    /// each with the word that git has for the outcome. Nothing is checked out. The bisection is
    /// made anew each time, from a log, so whatever a run has left that was cut short does not
    /// matter.
    ///
    /// # Errors
    /// What git says.
    pub(super) fn next(
        &self,
        log: &Path,
        good: &str,
        bad: &str,
        tried: &[(&str, &str)],
    ) -> Result<Next> {
        let tried = tried.iter();
        let lines = tried.map(|(commit, word)| format!("git bisect {word} {commit}\n"));
        let text = format!(
            "git bisect start '--no-checkout' '{bad}' '{good}'\n{}",
            lines.collect::<String>()
        );
        write_whole(log, text.as_bytes())?;
        let done = run(
            &self.folder,
            &["bisect", "replay", &log.display().to_string()],
        )?;
        // When it is at its end, its status is sometimes that of a failure; its log tells. Since
        // 2.55 at the latest, git has the word in quotes.
        let log = self.ask(&["bisect", "log"])?.replace("'bad'", "bad");
        let of = |mark: &str| {
            let lines = log.lines().filter_map(|line| line.strip_prefix(mark));
            let commits = lines.filter_map(|rest| Some(rest.split_once(']')?.0.to_owned()));
            commits.collect::<Vec<String>>()
        };
        if let Some(found) = of(FOUND).pop() {
            return Ok(Next::Found(found));
        }
        let possible = of(POSSIBLE);
        if !possible.is_empty() {
            return Ok(Next::OneOf(possible));
        }
        let told = said(&done.stdout);
        if !done.status.success() {
            bail!("git bisect fails: {told}{}", said(&done.stderr));
        }
        let mut left = told.lines().filter_map(|line| line.strip_prefix(LEFT));
        Ok(Next::Try {
            commit: self.ask(&["rev-parse", "--verify", "BISECT_HEAD"])?,
            left: left.next_back().unwrap_or_default().to_owned(),
        })
    }

    /// Removes the locks that a git has left which was killed: nobody else works in this work tree.
    pub(super) fn unlock(&self) -> Result<()> {
        let folder = self.ask(&["rev-parse", "--path-format=absolute", "--git-dir"])?;
        for entry in WalkDir::new(folder).into_iter().flatten() {
            if entry.path().extension().is_some_and(|end| end == "lock") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// What a command of git's prints.
    ///
    /// # Errors
    /// What it complains about.
    pub(super) fn ask(&self, words: &[&str]) -> Result<String> {
        let done = run(&self.folder, words)?;
        if !done.status.success() {
            bail!("git {} fails: {}", words.join(" "), said(&done.stderr));
        }
        Ok(said(&done.stdout))
    }
}

/// The beginning of a hash.
#[must_use]
pub fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

fn run(folder: &Path, words: &[&str]) -> Result<Output> {
    let process = Process::start("git", |command| {
        command.arg("-C").arg(folder);
        for setting in PLAIN {
            command.args(["-c", setting]);
        }
        for name in ELSEWHERE {
            command.env_remove(name);
        }
        command.args(words).env("LC_ALL", "C").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    })?;
    let done = process.output()?;
    if done.status.code() == Some(NO_PROGRAM) {
        bail!("git is not there, and it knows the commits: install git");
    }
    Ok(done)
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

fn unfit(given: &Path, why: &str) -> Error {
    Error::Unfit(format!("--git {}: {why}", given.display()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A clone of a few commits, each of which changes the file `file`.
    pub struct Small {
        folder: tempfile::TempDir,
        commits: Vec<String>,
    }

    impl Small {
        pub fn of(commits: usize) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut clone = Self {
                folder,
                commits: Vec::new(),
            };
            clone.git(&["init", "--quiet"]);
            for number in 0..commits {
                fs::write(clone.path().join("file"), number.to_string()).unwrap();
                clone.git(&["add", "file"]);
                let who = ["-c", "user.name=reader", "-c", "user.email=reader@theseus"];
                let commit = ["commit", "--quiet", "-m", &format!("commit {number}")];
                clone.git(&[&who[..], &commit].concat());
                let commit = clone.git(&["rev-parse", "HEAD"]);
                clone.commits.push(commit);
            }
            clone
        }

        pub fn path(&self) -> &Path {
            self.folder.path()
        }

        fn git(&self, words: &[&str]) -> String {
            let done = run(self.path(), words).unwrap();
            assert!(done.status.success(), "{words:?}: {done:?}");
            said(&done.stdout)
        }

        fn bisection(&self, tree: &History, tried: &[(usize, &str)]) -> Next {
            let tried = tried.iter();
            let tried = tried.map(|(number, word)| (&*self.commits[*number], *word));
            let (first, last) = (&self.commits[0], self.commits.last().unwrap());
            let log = self.path().join(".git/log");
            tree.next(&log, first, last, &Vec::from_iter(tried))
                .unwrap()
        }
    }

    #[test]
    fn git_says_which_commit_is_next_however_often_it_is_asked() {
        let clone = Small::of(9);
        // The reader has a bisection under way.
        clone.git(&["bisect", "start", &clone.commits[5], &clone.commits[2]]);
        let readers = || {
            let words = ["rev-parse HEAD", "bisect log", "status --porcelain"];
            words.map(|words| clone.git(&Vec::from_iter(words.split(' '))))
        };
        let before = readers();
        let history = History::find(clone.path()).unwrap();
        let place = tempfile::tempdir().unwrap();
        let tree = history.in_new_tree(&place.path().join("tree"), "HEAD");
        let tree = tree.unwrap();
        let commit = |number: usize, next: Next| match next {
            Next::Try { commit, left } => {
                assert_eq!(commit, clone.commits[number]);
                left
            }
            other => panic!("{other:?}"),
        };
        for _ in 0..2 {
            let left = commit(4, clone.bisection(&tree, &[]));
            assert!(left.contains("3 revisions left"), "{left}");
            commit(6, clone.bisection(&tree, &[(4, "good")]));
        }
        let all = [(4, "good"), (6, "bad"), (5, "bad")];
        let found = Next::Found(clone.commits[5].clone());
        assert_eq!(clone.bisection(&tree, &all), found);
        assert!(history.has_tree(&place.path().join("tree")));
        // A git that was killed has left its lock, and half of a bisection.
        let folder = tree.ask(&["rev-parse", "--absolute-git-dir"]).unwrap();
        fs::write(Path::new(&folder).join("HEAD.lock"), "").unwrap();
        fs::remove_file(Path::new(&folder).join("BISECT_START")).unwrap();
        tree.unlock().unwrap();
        let skipped = [(4, "good"), (6, "bad"), (5, "skip")];
        let Next::OneOf(mut left) = clone.bisection(&tree, &skipped) else {
            panic!("5 and 6 are left");
        };
        left.sort();
        let mut expected = vec![clone.commits[5].clone(), clone.commits[6].clone()];
        expected.sort();
        assert_eq!(left, expected);
        assert_eq!(readers(), before);
        // What lies in a work tree is none.
        let inside = place.path().join("tree/inside");
        fs::create_dir(&inside).unwrap();
        assert!(!history.has_tree(&inside));
        assert!(!history.has_tree(&place.path().join("nowhere")));
    }

    #[test]
    fn of_two_commits_the_later_one_is_found_at_once() {
        let clone = Small::of(2);
        let history = History::find(clone.path()).unwrap();
        let found = Next::Found(clone.commits[1].clone());
        assert_eq!(clone.bisection(&history, &[]), found);
    }

    #[test]
    fn a_commit_is_looked_into_without_a_checkout() {
        let clone = Small::of(2);
        let history = History::find(clone.path()).unwrap();
        let [first, last] = [&clone.commits[0], &clone.commits[1]];
        assert_eq!(history.commit("HEAD").unwrap(), *last);
        assert_eq!(history.count(first, last).unwrap(), 1);
        assert_eq!(history.changed(first, last, &["f*"]).unwrap(), ["file"]);
        assert_eq!(history.changed(first, last, &["*.c"]).unwrap().len(), 0);
        assert_eq!(history.text(first, "file").unwrap().as_deref(), Some("0"));
        assert_eq!(history.text(first, "other").unwrap(), None);
        let subject = format!("{} commit 1", short(last));
        assert_eq!(history.subject(last).unwrap(), subject);
    }
}
