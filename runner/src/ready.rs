//! A lab in which chapters are replayed: the one way in for the commands that do.

use std::path::PathBuf;

use anyhow::Result;
use book::chapter::Chapter;
use book::snapshot::Snapshot;
use lab::build::setup::{self, Lab, Options};
use lab::replay::own_kernel::OwnKernel;
use lab::replay::{Event, Otherwise, provenance, replay};
use lab::system::process::Signals;
use lab::transcript::Transcript;
use lab::transcript::step::Terminal;

use crate::doctor;

/// A lab for replays of chapters.
#[derive(Debug)]
pub struct Ready {
    /// The root of the repository.
    pub root: PathBuf,
    /// What a chapter is replayed with.
    pub lab: Lab,
    provenance: Vec<(String, String)>,
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
        own: Option<OwnKernel>,
    ) -> Result<Self> {
        let sandbox = setup::sandbox(options)?;
        let mut labs = chapters
            .into_iter()
            .filter(|chapter| chapter.has(Terminal::Lab));
        if let Some(chapter) = labs.next() {
            doctor::check_lab(&sandbox, chapter.number)?;
        }
        let mut lab = setup::made_with(options, sandbox)?;
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

    /// What was printed in this lab.
    #[must_use]
    pub fn snapshot(&self, transcript: Transcript) -> Snapshot {
        Snapshot {
            provenance: self.provenance.clone(),
            transcript,
        }
    }
}
