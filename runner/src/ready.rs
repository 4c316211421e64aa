//! A lab in which chapters are replayed: the one way in for the commands that do.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Result;
use book::chapter::Chapter;
use book::snapshot::Snapshot;
use book::snapshot::moved::Moved;
use lab::build::plank::{Change, Plank};
use lab::build::setup::{self, Lab, Options};
use lab::replay::own_kernel::OwnKernel;
use lab::replay::{Event, Otherwise, provenance, replay};
use lab::system::process::Signals;
use lab::transcript::Transcript;
use lab::transcript::step::Terminal;

use crate::commands::plank;
use crate::doctor;

/// A kernel in place of the book's.
#[derive(Debug, clap::Args)]
pub struct OwnArgs {
    /// Replay with a kernel of your own: a built tree, or a folder that holds bzImage and vmlinux
    #[arg(long, value_name = "PATH", conflicts_with = "plank")]
    kernel: Option<PathBuf>,
    /// Replay with one of your planks (`runner plank`), which is built first if you have changed it
    #[arg(long, value_name = "NAME")]
    plank: Option<String>,
}

/// A kernel in place of the book's, which is there.
#[derive(Debug)]
pub enum Own {
    /// One that the user has built.
    Kernel(OwnKernel),
    /// One of the user's planks, to be built.
    Plank(Plank),
}

impl OwnArgs {
    /// Looks for the kernel, if one is named.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn find(&self, root: &Path) -> Result<Option<Own>> {
        Ok(match (&self.kernel, &self.plank) {
            (Some(kernel), _) => Some(Own::Kernel(OwnKernel::find(kernel)?)),
            (None, Some(plank)) => Some(Own::Plank(Plank::find(root, plank)?)),
            (None, None) => None,
        })
    }

    /// Whether one is named.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.kernel.is_some() || self.plank.is_some()
    }
}

/// A lab for replays of chapters.
#[derive(Debug)]
pub struct Ready {
    /// The root of the repository.
    pub root: PathBuf,
    /// What a chapter is replayed with.
    pub lab: Lab,
    provenance: Vec<(String, String)>,
    /// The source's lines that stand elsewhere than in the book's tree.
    moved: Moved,
    /// Keeps other runs from making the plank anew.
    _plank: Option<File>,
}

impl Ready {
    /// The lab in which these chapters are replayed, made if it is not there; with a kernel of the
    /// user's own, if there is one. What keeps the network of a chapter from being made is told
    /// before anything is built.
    ///
    /// # Errors
    /// As [`setup::ready`], and why there can be no network.
    pub fn make<'a>(
        options: &Options,
        chapters: impl IntoIterator<Item = &'a Chapter>,
        own: Option<Own>,
    ) -> Result<Self> {
        let sandbox = setup::sandbox(options)?;
        let mut labs = chapters
            .into_iter()
            .filter(|chapter| chapter.has(Terminal::Lab));
        if let Some(chapter) = labs.next() {
            doctor::check_lab(&sandbox, chapter.number)?;
        }
        let mut lab = setup::made_with(options, sandbox)?;
        let (mut moved, mut lock) = (Moved::default(), None);
        let own = match own {
            Some(Own::Plank(plank)) => {
                lock = Some(plank::build(&plank, &lab)?);
                for Change { file, book, plank } in plank.changes(&lab)? {
                    moved.add(&file, &book, &plank);
                }
                Some(OwnKernel::find(&plank.tree())?)
            }
            Some(Own::Kernel(own)) => Some(own),
            None => None,
        };
        if let Some(own) = own {
            let first = own.note.clone();
            let notes = first.into_iter().chain(own.replace_in(&mut lab)?);
            notes.for_each(|note| eprintln!("{note}"));
        }
        let root = options.repository.clone();
        Ok(Self {
            provenance: provenance::of(&root, &lab)?,
            root,
            lab,
            moved,
            _plank: lock,
        })
    }

    /// Replays a whole chapter on a machine of this lab, to record it: a step that is otherwise
    /// than the chapter has it is an error, whatever was recorded before.
    ///
    /// # Errors
    /// As [`replay`].
    pub fn replay_to_record(
        &self,
        chapter: &Chapter,
        lab: &Lab,
        signals: &Signals,
    ) -> Result<Snapshot> {
        let (script, count) = (chapter.script(), chapter.steps.len());
        let fails = Otherwise::Fails;
        let transcript = replay(&self.root, script, count, lab, fails, signals, &mut |_| {})?;
        Ok(self.snapshot(transcript))
    }

    /// Replays the first `count` steps of a chapter. In a lab that is another than the one of the
    /// recording, a step that is otherwise than the chapter has it does not end the replay.
    ///
    /// # Errors
    /// As [`replay`].
    pub fn replay(
        &self,
        chapter: &Chapter,
        count: usize,
        signals: &Signals,
        watch: &mut dyn FnMut(&Event<'_>),
    ) -> Result<Snapshot> {
        let script = chapter.script();
        let recorded = Snapshot::read(&self.root, &chapter.name)?;
        let otherwise = match recorded {
            Some(recorded) if !recorded.differing_provenance(&self.provenance).is_empty() => {
                Otherwise::Counts
            }
            _ => Otherwise::Fails,
        };
        let transcript = replay(
            &self.root, script, count, &self.lab, otherwise, signals, watch,
        )?;
        Ok(self.snapshot(transcript))
    }

    /// What was printed in this lab, with the book's numbers of the source's lines.
    #[must_use]
    pub fn snapshot(&self, mut transcript: Transcript) -> Snapshot {
        for record in &mut transcript.records {
            record.output.stderr = self.moved.marking_new(&record.output.stderr);
            for text in [&mut record.output.stdout, &mut record.output.stderr] {
                *text = self.moved.as_in_the_book(text);
            }
        }
        Snapshot {
            provenance: self.provenance.clone(),
            transcript,
        }
    }
}
