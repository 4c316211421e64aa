//! A lab in which chapters are replayed: the one way in for the commands that do.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use book::chapter::Chapter;
use book::snapshot::Snapshot;
use book::snapshot::compare::{self, Verdict};
use book::snapshot::moved::Moved;
use book::snapshot::reasons::Reasons;
use lab::build::kernel::Kernel;
use lab::build::patch::{self, Patch};
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

/// How many times as long a step may take on another series of the kernel.
const PATIENCE: u32 = 5;

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
    /// Use the kernel of another series: 5.10, 6.12, 7.3 (recorded); 4.19, 5.4, 6.17
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

    /// The chapter, as it is typed on this series: with the other forms of its steps.
    ///
    /// # Errors
    /// As [`Chapter::find`], [`Reasons::read`] and [`Reasons::typed`].
    pub fn find(&self, root: &Path, wanted: &str) -> Result<Chapter> {
        let reasons = Reasons::read(root, &self.series)?;
        Ok(reasons.typed(Chapter::find(root, wanted)?)?)
    }

    /// As [`SeriesArgs::find`], without the other form of one step.
    ///
    /// # Errors
    /// As [`SeriesArgs::find`]; when the step has no other form.
    pub fn find_without(&self, root: &Path, wanted: &str, id: StepId) -> Result<Chapter> {
        let reasons = Reasons::read(root, &self.series)?;
        if reasons.form(id).is_none() {
            bail!(lab::Error::Unfit(format!(
                "step {id} has no other form on Linux {}; drift/{0}.toml has all of them",
                self.series
            )));
        }
        Ok(reasons
            .without_form(id)
            .typed(Chapter::find(root, wanted)?)?)
    }

    /// The series that are meant: `all` means each.
    ///
    /// # Errors
    /// As [`SeriesArgs::choose`].
    pub fn all(&self, repository: &Path) -> Result<Vec<String>> {
        let pins = Pins::read(repository)?;
        if self.series == "all" {
            return Ok(pins.recorded().map(str::to_owned).collect());
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
    /// That of a commit, with the files that are otherwise than in the kernel that it is compared
    /// with.
    Commit(OwnKernel, Vec<Change>),
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
    machines: BTreeMap<Kernels, Machine>,
    /// The source's lines that stand elsewhere than in the book's tree.
    moved: Moved,
    /// Keeps other runs from making the plank anew.
    _plank: Option<File>,
}

/// What a chapter's kernels are: the patches of its own, and the others beside it. Most have
/// neither.
type Kernels = (Vec<String>, Vec<String>);

fn kernels(chapter: &Chapter) -> Kernels {
    (chapter.patches.clone(), chapter.beside.clone())
}

/// What kernels a chapter is about that has some of its own, in a few words.
fn own_kernels(chapter: &Chapter) -> String {
    match chapter.beside.is_empty() {
        true => "a kernel that has patches of the book's own".to_owned(),
        false => format!("the book's kernel beside {}", chapter.beside.join(" and ")),
    }
}

/// A kernel that lies beside the book's.
#[derive(Debug)]
enum Beside {
    /// One of another series.
    Series(String),
    /// The book's own with a patch of the book's, or with more of the configuration.
    Patched(Patch),
}

impl Beside {
    /// # Errors
    /// [`lab::Error::Unfit`] when the name is of neither.
    fn find(root: &Path, pins: &Pins, name: &str) -> Result<Self> {
        let Err(no_series) = pins.kernel(name) else {
            return Ok(Self::Series(name.to_owned()));
        };
        let ends = ["patch", "config"].map(|end| format!("{}/{name}.{end}", patch::FOLDER));
        if !ends.iter().any(|file| root.join(file).is_file()) {
            let [patch, config] = ends;
            bail!(lab::Error::Unfit(format!(
                "{no_series}; nor is there {patch} or {config}"
            )));
        }
        Ok(Self::Patched(Patch::of_book(root, name)?))
    }

    /// Builds it for the same machine, if it is not in the cache.
    fn ready(&self, options: &Options, lab: &Lab, pins: &Pins) -> Result<Kernel> {
        match self {
            Self::Series(series) => {
                let options = Options {
                    series: series.clone(),
                    kernel_source: None,
                    ..options.clone()
                };
                setup::kernel(&options, &lab.sandbox, pins)
            }
            Self::Patched(patch) => {
                let patches = std::slice::from_ref(patch);
                Ok(patched::ready(&options.cache, lab, patches)?.kernel)
            }
        }
    }
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
    /// As [`setup::ready`], [`Lab::with_further`] and [`patched::ready`], and why there can be no
    /// network. [`lab::Error::Unfit`] where a kernel of the user's own is wanted in a chapter that
    /// has some of its own.
    pub fn make<'a>(
        options: &Options,
        chapters: impl IntoIterator<Item = &'a Chapter>,
        own: Option<Own>,
    ) -> Result<Self> {
        let sandbox = setup::sandbox(options)?;
        let pins = Pins::read(&options.repository)?;
        let mut sets = BTreeMap::from([(Kernels::default(), Default::default())]);
        let mut networked = None;
        for chapter in chapters {
            if chapter.has(Terminal::Lab) {
                networked.get_or_insert(chapter.number);
            }
            let number = chapter.number;
            if own.is_some() && chapter.has_its_own_kernels() {
                bail!(lab::Error::Unfit(format!(
                    "chapter {number} is about {}, so it says nothing of yours",
                    own_kernels(chapter)
                )));
            }
            if options.series != lab::SERIES && chapter.has_its_own_kernels() {
                bail!(lab::Error::Unfit(format!(
                    "chapter {number} is about {}, for Linux {}",
                    own_kernels(chapter),
                    lab::SERIES
                )));
            }
            let names = chapter.patches.iter();
            let patches = names.map(|name| Patch::of_book(&options.repository, name));
            let patches: Vec<Patch> = patches.collect::<Result<_>>()?;
            let names = chapter.beside.iter();
            let beside = names.map(|name| Beside::find(&options.repository, &pins, name));
            let beside: Vec<Beside> = beside.collect::<Result<_>>()?;
            sets.insert(kernels(chapter), (patches, beside));
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
            Some(Own::Commit(own, changes)) => {
                for Change { file, book, plank } in changes {
                    moved.add(&file, &book, &plank);
                }
                Some(own)
            }
            None => None,
        };
        if let Some(own) = own {
            let first = own.note.clone();
            let notes = first.into_iter().chain(own.replace_in(&mut lab)?);
            notes.for_each(|note| eprintln!("{note}"));
        }
        let root = options.repository.clone();
        let plain = lab;
        let machines = sets.into_iter().map(|(kernels, (patches, beside))| {
            let mut lab = plain.clone();
            let (names, names_beside) = &kernels;
            if !patches.is_empty() {
                lab = lab.with_further(options, names)?;
                lab = patched::ready(&options.cache, &lab, &patches)?;
                patched::add_programs(&options.cache, &mut lab, &root, names)?;
            }
            for (name, kernel) in names_beside.iter().zip(beside) {
                let kernel = kernel.ready(options, &plain, &pins)?;
                lab.beside.push((name.clone(), kernel));
            }
            let provenance = provenance::of(&root, &options.series, &lab)?;
            Ok((kernels, Machine { lab, provenance }))
        });
        Ok(Self {
            machines: machines.collect::<Result<_>>()?,
            series: options.series.clone(),
            root,
            moved,
            _plank: lock,
        })
    }

    /// The lab that has the chapter's kernels.
    ///
    /// # Panics
    /// When it was not made for a chapter with these.
    #[must_use]
    pub fn lab(&self, chapter: &Chapter) -> &Lab {
        &self.machine(chapter).lab
    }

    /// The lab of all that has no kernels of its own.
    #[must_use]
    pub fn plain(&self) -> &Lab {
        &self.machine_of(&Kernels::default()).lab
    }

    fn machine(&self, chapter: &Chapter) -> &Machine {
        self.machine_of(&kernels(chapter))
    }

    fn machine_of(&self, kernels: &Kernels) -> &Machine {
        let machine = self.machines.get(kernels);
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
        let chapter = self.with_patience(chapter);
        let otherwise = match self.is_of_another_series() {
            true => Otherwise::Counts,
            false => Otherwise::Fails,
        };
        let (script, count) = (chapter.script(), chapter.steps.len());
        let transcript = replay(
            &self.root,
            script,
            count,
            lab,
            otherwise,
            signals,
            &mut |_| {},
        )?;
        Ok(self.snapshot(&chapter, transcript))
    }

    /// The chapter with more time for its steps on another series of the kernel. There a step that
    /// is late does not end the replay, and the machine is stopped wherever it is at that moment,
    /// so a replay on a busy machine would be another each time.
    fn with_patience(&self, chapter: &Chapter) -> Chapter {
        let mut chapter = chapter.clone();
        if self.is_of_another_series() {
            let steps = chapter.steps.iter_mut();
            steps.for_each(|step| step.deadline *= PATIENCE);
        }
        chapter
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
        let provenance = &self.machine(chapter).provenance;
        let recorded = Snapshot::of_series(&self.root, &self.series, &chapter.name)?;
        let otherwise = match recorded {
            _ if self.is_of_another_series() => Otherwise::Counts,
            Some(recorded) if !recorded.differing_provenance(provenance).is_empty() => {
                Otherwise::Counts
            }
            _ => Otherwise::Fails,
        };
        self.replay_if(otherwise, chapter, count, signals, watch)
    }

    /// As [`Ready::replay`], whatever was recorded: `otherwise` says what a step does that is
    /// otherwise than the chapter has it.
    ///
    /// # Errors
    /// As [`replay`].
    pub fn replay_if(
        &self,
        otherwise: Otherwise,
        chapter: &Chapter,
        count: usize,
        signals: &Signals,
        watch: &mut dyn FnMut(&Event<'_>),
    ) -> Result<Snapshot> {
        let patient = self.with_patience(chapter);
        let (script, lab) = (patient.script(), self.lab(chapter));
        let transcript = replay(&self.root, script, count, lab, otherwise, signals, watch)?;
        Ok(self.snapshot(chapter, transcript))
    }

    /// What was printed on the chapter's machine, with the book's numbers of the source's lines.
    #[must_use]
    pub fn snapshot(&self, chapter: &Chapter, mut transcript: Transcript) -> Snapshot {
        for record in &mut transcript.records {
            record.output.stderr = self.moved.marking_new(&record.output.stderr);
            for text in [&mut record.output.stdout, &mut record.output.stderr] {
                *text = self.moved.as_in_the_book(text);
            }
        }
        Snapshot {
            provenance: self.machine(chapter).provenance.clone(),
            transcript,
        }
    }
}
