//! The lab itself: whether it is made, and what making it takes. Nothing is built or fetched here.

use super::Found;
use crate::context::Context;
use crate::repository;
use lab::Error;
use lab::build::pins::Pins;
use lab::build::{setup, sources};
use lab::system::sandbox::{self, Sandbox};

/// What the cache has and lacks of the lab.
#[derive(Debug)]
pub struct Lab {
    pins: Pins,
    /// The kind of each entry that is missing, and how it is told.
    absent: Vec<(String, String)>,
}

impl Lab {
    /// Whether nothing is left to do.
    pub fn is_made(&self) -> bool {
        self.absent.is_empty()
    }

    fn lacks(&self, kind: &str) -> bool {
        self.absent.iter().any(|(absent, _)| absent == kind)
    }
}

/// The lab's programs, if they are there, and what is to be said of them.
pub fn sandbox(context: &Context) -> (Option<Sandbox>, Found) {
    let look = || -> anyhow::Result<Sandbox> {
        let mut options = context.options(&repository::find()?)?;
        options.cache = options.cache.frozen();
        setup::programs(&options)
    };
    match look() {
        Ok(Sandbox::Machine) => {
            let missing = sandbox::missing_programs();
            let found = match missing.is_empty() {
                true => Found::ok("the machine's own are to be used, and are there"),
                false => Found::bad(
                    format!(
                        "the machine's own are to be used; missing: {}",
                        missing.join(" ")
                    ),
                    "Install them, or leave --host-tools away: the lab brings its own",
                ),
            };
            (missing.is_empty().then_some(Sandbox::Machine), found)
        }
        Ok(sandbox) => (Some(sandbox), Found::ok("all there")),
        Err(error) => (
            None,
            Found::skip(format!("{error:#}; the first run fetches them")),
        ),
    }
}

/// Looks for all parts of the lab. Without programs that run, what they build is not looked for.
///
/// # Errors
/// What keeps it from looking, as the finding of the check.
pub fn look(context: &Context, sandbox: Option<&Sandbox>) -> Result<Lab, Found> {
    let root = repository::find().map_err(|error| Found::skip(format!("{error:#}")))?;
    let look = || -> anyhow::Result<Lab> {
        let mut options = context.options(&root)?;
        options.cache = options.cache.frozen();
        let pins = Pins::read(&options.repository)?;
        let parts = match sandbox {
            Some(sandbox) => vec![
                setup::kernel(&options, sandbox, &pins).map(drop),
                setup::guest(&options, sandbox, &pins).map(drop),
            ],
            // What is built is known by the compiler.
            None => vec![
                setup::programs(&options).map(drop),
                setup::kernel_source(&options, &pins).map(drop),
                sources::busybox(&options.cache, &pins.busybox, None).map(drop),
            ],
        };
        let mut absent = Vec::new();
        for error in parts.into_iter().filter_map(Result::err) {
            match Error::of(&error) {
                Some(Error::Absent { kind, .. }) => {
                    absent.push((kind.clone(), error.to_string()));
                }
                _ => return Err(error),
            }
        }
        Ok(Lab { pins, absent })
    };
    match look() {
        Ok(lab) if lab.is_made() && sandbox.is_none() => Err(Found::skip(
            "not looked for, as the compiler that it was built with cannot be run",
        )),
        Ok(lab) => Ok(lab),
        Err(error) => Err(Found::bad(
            format!("{error:#}"),
            "Mend that, and look again; without it no lab can be made",
        )),
    }
}

/// Tells whether the lab is made.
pub fn made(lab: &Result<Lab, Found>) -> Found {
    let lab = match lab {
        Ok(lab) => lab,
        Err(found) => return found.clone(),
    };
    if lab.is_made() {
        return Found::ok("all made");
    }
    let told: Vec<&str> = lab.absent.iter().map(|(_, told)| &**told).collect();
    Found::warn(
        told.join("; "),
        "`runner setup` makes it, and so does the first chapter; README.md tells how long that \
         takes, and how `--from` takes a lab that was made elsewhere",
    )
}

/// Tells where the sources would come from.
pub fn sources(lab: &Lab) -> Found {
    let wanted: Vec<String> = sources::providers(&lab.pins, ::lab::SERIES)
        .into_iter()
        .filter(|(kind, _)| lab.lacks(kind))
        .map(|(kind, names)| format!("{kind}: {}", names.join(", or else ")))
        .collect();
    if wanted.is_empty() {
        return Found::ok("nothing is left to fetch");
    }
    Found::skip(format!(
        "to be fetched, which was not tried; {}",
        wanted.join("; ")
    ))
}
