//! A lab in which chapters are replayed: the one way in for the commands that do.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use book::chapter::Chapter;
use book::snapshot::Snapshot;
use book::snapshot::compare::{self, Verdict};
use book::snapshot::moved::Moved;
use lab::build::patch::Patch;
use lab::build::patched;
use lab::build::pins::Pins;
use lab::build::plank::{Change, Plank};
use lab::build::setup::{self, Lab, Options};
use lab::replay::own_kernel::OwnKernel;
use lab::replay::{Event, Otherwise, provenance, replay};
use lab::system::process::Signals;
use lab::transcript::Transcript;
use lab::transcript::step::{StepId, Terminal};

use crate::commands::plank;
use crate::doctor;

/// A kernel in place of the book's.
#[derive(Debug, clap::Args)]
pub struct OwnArgs {
    /// Replay with a kernel of your own: a built tree, or a folder that holds bzImage and vmlinux
    #[arg(long, value_name = "PATH", conflicts_with_all = ["plank", "series"])]
    kernel: Option<PathBuf>,
    /// Replay with one of your planks (`runner plank`), which is built first if you have changed it
    #[arg(long, value_name = "NAME", conflicts_with = "series")]
    plank: Option<String>,
}

/// The series of the kernel.
#[derive(Debug, clap::Args)]
pub struct SeriesArgs {
    /// Use the kernel of another series: 5.10, 6.12, 7.3
    #[arg(long, value_name = "SERIES", default_value = lab::SERIES, hide_default_value = true)]
    series: String,
}

impl SeriesArgs {
    /// Has the lab made with the kernel of this series.
    ///
    /// # Errors
    /// When the book has no kernel of this name.
    pub fn choose(&self, options: &mut Options) -> Result<()> {
        Pins::read(&options.repository)?.kernel(&self.series)?;
        options.series.clone_from(&self.series);
        Ok(())
    }

    /// The series that are meant: `all` means each.
    ///
    /// # Errors
    /// As [`SeriesArgs::choose`].
    pub fn all(&self, repository: &Path) -> Result<Vec<String>> {
        let pins = Pins::read(repository)?;
        if self.series == "all" {
            return Ok(pins.kernel.into_keys().collect());
        }
        pins.kernel(&self.series)?;
        Ok(vec![self.series.clone()])
    }
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
    /// The series of its kernel.
    pub series: String,
    /// By the patches that its kernel has: the book's has none.
    machines: BTreeMap<Vec<String>, Machine>,
    /// The source's lines that stand elsewhere than in the book's tree.
    moved: Moved,
    /// Keeps other runs from making the plank anew.
    _plank: Option<File>,
}

/// What chapters are replayed with.
#[derive(Debug)]
struct Machine {
    lab: Lab,
    provenance: Vec<(String, String)>,
}

impl Ready {
    /// The lab in which these chapters are replayed, made if it is not there; with a kernel of the
    /// user's own, if there is one. What keeps the network of a chapter from being made is told
    /// before anything is built.
    ///
    /// # Errors
    /// As [`setup::ready`], [`Lab::with_further`] and [`patched::ready`], and why there can be no network.
    /// [`lab::Error::Unfit`] where a kernel of the user's own is wanted in a chapter whose kernel
    /// is patched.
    pub fn make<'a>(
        options: &Options,
        chapters: impl IntoIterator<Item = &'a Chapter>,
        own: Option<Own>,
    ) -> Result<Self> {
        let sandbox = setup::sandbox(options)?;
        let mut sets = BTreeMap::from([(Vec::new(), Vec::new())]);
        let mut networked = None;
        for chapter in chapters {
            if chapter.has(Terminal::Lab) {
                networked.get_or_insert(chapter.number);
            }
            let number = chapter.number;
            if own.is_some() && !chapter.patches.is_empty() {
                bail!(lab::Error::Unfit(format!(
                    "chapter {number} is about a kernel that has patches of the book's own, so it \
                     says nothing of yours"
                )));
            }
            if options.series != lab::SERIES && !chapter.patches.is_empty() {
                bail!(lab::Error::Unfit(format!(
                    "chapter {number} is about a kernel that has patches of the book's own, and \
                     they are made for Linux {}",
                    lab::SERIES
                )));
            }
            let names = chapter.patches.iter();
            let patches = names.map(|name| Patch::of_book(&options.repository, name));
            let patches: Vec<Patch> = patches.collect::<Result<_>>()?;
            sets.insert(chapter.patches.clone(), patches);
        }
        if let Some(chapter) = networked {
            doctor::check_lab(&sandbox, chapter)?;
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
        let machines = sets.into_iter().map(|(names, patches)| {
            let mut lab = lab.clone();
            if !patches.is_empty() {
                lab = lab.with_further(options, &names)?;
                lab = patched::ready(&options.cache, &lab, &patches)?;
                patched::add_programs(&options.cache, &mut lab, &root, &names)?;
            }
            let provenance = provenance::of(&root, &options.series, &lab)?;
            Ok((names, Machine { lab, provenance }))
        });
        Ok(Self {
            machines: machines.collect::<Result<_>>()?,
            series: options.series.clone(),
            root,
            moved,
            _plank: lock,
        })
    }

    /// The lab whose kernel has these patches.
    ///
    /// # Panics
    /// When it was not made for a chapter with these.
    #[must_use]
    pub fn lab(&self, patches: &[String]) -> &Lab {
        &self.machine(patches).lab
    }

    fn machine(&self, patches: &[String]) -> &Machine {
        let machine = self.machines.get(patches);
        machine.expect("it was made for the chapters that are replayed")
    }

    /// Whether its kernel is of another series than the one that the text is about.
    #[must_use]
    pub fn is_of_another_series(&self) -> bool {
        self.series != lab::SERIES
    }

    /// Compares a replay up to the step `last` with what was recorded; none if nothing was.
    ///
    /// # Errors
    /// As [`compare::judge`].
    pub fn judge(
        &self,
        chapter: &Chapter,
        now: &Snapshot,
        last: StepId,
    ) -> Result<Option<Verdict>> {
        compare::judge(&self.root, &self.series, &chapter.name, now, last)
    }

    /// Replays a whole chapter on a machine of this lab, to record it: a step that is otherwise
    /// than the chapter has it is an error, whatever was recorded before; but for another series of
    /// the kernel, for which that is what is recorded.
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
        let otherwise = match self.is_of_another_series() {
            true => Otherwise::Counts,
            false => Otherwise::Fails,
        };
        let transcript = replay(
            &self.root,
            script,
            count,
            lab,
            otherwise,
            signals,
            &mut |_| {},
        )?;
        Ok(self.snapshot(&chapter.patches, transcript))
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
        let Machine { lab, provenance } = self.machine(&chapter.patches);
        let recorded = Snapshot::of_series(&self.root, &self.series, &chapter.name)?;
        let otherwise = match recorded {
            _ if self.is_of_another_series() => Otherwise::Counts,
            Some(recorded) if !recorded.differing_provenance(provenance).is_empty() => {
                Otherwise::Counts
            }
            _ => Otherwise::Fails,
        };
        let transcript = replay(&self.root, script, count, lab, otherwise, signals, watch)?;
        Ok(self.snapshot(&chapter.patches, transcript))
    }

    /// What was printed on the machine with these patches, with the book's numbers of the source's
    /// lines.
    #[must_use]
    pub fn snapshot(&self, patches: &[String], mut transcript: Transcript) -> Snapshot {
        for record in &mut transcript.records {
            record.output.stderr = self.moved.marking_new(&record.output.stderr);
            for text in [&mut record.output.stdout, &mut record.output.stderr] {
                *text = self.moved.as_in_the_book(text);
            }
        }
        Snapshot {
            provenance: self.machine(patches).provenance.clone(),
            transcript,
        }
    }
}
