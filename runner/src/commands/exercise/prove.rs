//! `runner exercise prove`, for authors: whether the solution holds, and whether each wrong answer
//! fails for its own reason.

use std::path::Path;
use std::process::ExitCode;

use anstream::println;
use anyhow::ensure;

use super::grade::{Answer, Replayed, grade};
use super::steps_of;
use crate::screen::{BAD, BOLD, DIM, GOOD};
use book::exercise::{Exercise, Kind};
use lab::build::patch::Patch;
use lab::build::plank::Plank;
use lab::build::setup::{self, Options};
use lab::system::progress::Stage;

/// Tries what authors give: each solution reaches all points, and nothing else does.
pub fn prove(
    root: &Path,
    options: &Options,
    names: &[String],
    times: usize,
) -> anyhow::Result<ExitCode> {
    let mut failed = 0;
    for name in names {
        println!("{BOLD}{name}{BOLD:#}");
        let proved =
            Exercise::find(root, name).and_then(|exercise| prove_one(options, &exercise, times));
        match proved {
            Ok(wrong) => failed += wrong,
            Err(error) if lab::Error::is_interrupted(&error) => return Err(error),
            // What is wrong with one keeps no other from being tried.
            Err(error) => {
                tell(false, "it cannot be tried", &format!("{error:#}"));
                failed += 1;
            }
        }
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Tries an exercise; gives how much of it is not as it should be.
fn prove_one(options: &Options, exercise: &Exercise, times: usize) -> anyhow::Result<usize> {
    let mut failed = 0;
    let with_kernel = exercise.kind == Kind::Change && exercise.program.is_none();
    let trials = Plank::of_trials(&options.repository);
    let _turn = with_kernel.then(|| trials.turn()).transpose()?;
    let solution = || match exercise.solution() {
        Some(file) => answer(options, exercise, &file),
        None => Ok(Answer::Word(exercise.answer.clone().unwrap_or_default())),
    };
    let mut last = None;
    for time in 1..=times {
        let replayed = Replayed::of(options, exercise, solution()?)?;
        let grade = replayed.judged(exercise.answer.as_deref(), true)?;
        let holds = grade.reached() == grade.points.len();
        failed += usize::from(!holds);
        let what = format!("the solution, {time} of {times}");
        tell(holds, &what, &grade.reasons());
        last = Some(replayed).filter(|_| exercise.kind == Kind::Predict);
    }
    // Whatever is predicted, what comes is the same.
    let tried = |answer: &dyn Fn() -> anyhow::Result<Answer>, word: &str| match &last {
        Some(replayed) => replayed.judged(Some(word), false),
        None => grade(options, exercise, answer()?),
    };
    let nothing = tried(&|| Ok(Answer::Nothing), "")?;
    let fails = nothing.reached() < nothing.points.len();
    failed += usize::from(!fails);
    tell(fails, "the empty answer fails", "it reaches all points");
    for wrong in &exercise.wrong {
        let file = exercise.wrong_file(wrong);
        let grade = tried(&|| answer(options, exercise, &file), &wrong.answer)?;
        let reasons = grade.reasons();
        let fails = grade.reached() < grade.points.len() && reasons.contains(&wrong.why);
        failed += usize::from(!fails);
        let found = match &*reasons {
            "" => "it reaches all points",
            reasons => reasons,
        };
        let what = format!("{} fails: {}", wrong.answer, wrong.why);
        tell(fails, &what, found);
    }
    Ok(failed)
}

/// Says of one thing that was tried whether it is as it should be, and what was found if not.
fn tell(is_so: bool, what: &str, found: &str) {
    match is_so {
        true => println!("  {GOOD}✓{GOOD:#} {what}"),
        false => {
            println!("  {BAD}✗{BAD:#} {what}");
            for line in found.lines() {
                println!("      {DIM}{line}{DIM:#}");
            }
        }
    }
}

/// The answer that a file of the repository is.
fn answer(options: &Options, exercise: &Exercise, file: &Path) -> anyhow::Result<Answer> {
    let root = &options.repository;
    let path = root.join(file);
    ensure!(
        path.is_file(),
        lab::Error::Unfit(format!("there is no {}", file.display()))
    );
    Ok(match (exercise.kind, &exercise.program) {
        (Kind::Change, Some(_)) => Answer::Program(path),
        (Kind::Change, None) => {
            let lab = setup::ready(options)?;
            let plank = Plank::of_trials(root);
            if !plank.exists() {
                let stage = Stage::begin("copy the book's kernel");
                plank.copy(&lab)?;
                stage.done();
            }
            plank.put(&lab, &[Patch::read(&path)?])?;
            Answer::Kernel(plank)
        }
        _ => Answer::Steps(steps_of(root, &path)?, path),
    })
}
