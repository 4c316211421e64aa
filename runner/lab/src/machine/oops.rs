//! What the kernel has said of its end: an oops on the console, read for the reader.
//!
//! Source: `show_regs` and `show_trace_log_lvl` in arch/x86 of the kernel print it. A function
//! stands there as `name+0xoffset/0xsize`; one behind `? ` may be left over from an earlier call.

use std::process::Stdio;

use crate::system::sandbox::View;

/// In how many lines an oops says what it is, at most.
const HEAD: usize = 6;

/// What an oops tells.
#[derive(Debug, PartialEq, Eq)]
pub struct Oops {
    /// What went wrong, as the kernel calls it.
    what: String,
    /// Where the processor was, and from where it was called, innermost first.
    calls: Vec<Call>,
}

/// A place in a function of the kernel.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    function: String,
    offset: u64,
}

impl Oops {
    /// The last oops of a console.
    #[must_use]
    pub fn find(console: &str) -> Option<Self> {
        let lines: Vec<&str> = console.lines().map(str::trim).collect();
        let trace = lines.iter().rposition(|line| *line == "Call Trace:")?;
        let rip = lines[..trace]
            .iter()
            .rposition(|line| line.starts_with("RIP: "))?;
        let processor = lines[..rip]
            .iter()
            .rposition(|line| line.starts_with("CPU: "))?;
        // The exception stands last, behind what it is about in words, if there are any.
        let is_said = |line: &&&str| line.contains("BUG");
        let said = lines[..processor].iter().rev().take(HEAD).find(is_said);
        let said = said.or(lines[..processor].last());
        let panic = lines[trace..]
            .iter()
            .find(|line| line.starts_with("Kernel panic"));
        let place = lines[rip].rsplit_once(':')?.1;
        let frames = lines[trace + 1..].iter().filter(|line| **line != "<TASK>");
        // Kernels before 5.16 do not mark the end of the task's frames.
        let is_end = |line: &str| {
            ["</", "RIP: ", "---[ "]
                .iter()
                .any(|end| line.starts_with(end))
        };
        let frames = frames.map_while(|line| (!is_end(line)).then_some(*line));
        let (unsure, sure): (Vec<_>, Vec<_>) = frames.partition(|line| line.starts_with("? "));
        // Where the kernel is sure of no caller, what it guesses is more than nothing.
        let calls = if sure.is_empty() { unsure } else { sure };
        Some(Self {
            what: said
                .into_iter()
                .chain(panic)
                .copied()
                .collect::<Vec<_>>()
                .join("; "),
            calls: [place]
                .into_iter()
                .chain(calls)
                .filter_map(Call::parse)
                .collect(),
        })
    }

    /// It in words, with the source's lines as far as vmlinux in the private folder tells them.
    #[must_use]
    pub fn told(&self, view: &View) -> String {
        let mut told = format!("the kernel has stopped: {}", self.what);
        let said = self.ask_gdb(view).unwrap_or_default();
        let mut said = said.split(NEXT).skip(1);
        for call in &self.calls {
            told += &format!("\n    {}", call.function);
            if let Some(place) = said.next().and_then(place) {
                told += &format!(" at {place}");
            }
        }
        told
    }

    /// What gdb says of the line of each call, behind a word of its own.
    fn ask_gdb(&self, view: &View) -> anyhow::Result<String> {
        let mut words = ["gdb", "-nx", "-q", "-batch"].map(str::to_owned).to_vec();
        for (at, Call { function, offset }) in self.calls.iter().enumerate() {
            // A caller goes on behind its call, which may be another line.
            let back = u8::from(at > 0);
            words.extend(["-ex".to_owned(), format!("echo {NEXT}")]);
            let line = format!("info line *({function}+{offset}-{back})");
            words.extend(["-ex".to_owned(), line]);
        }
        words.push("vmlinux".to_owned());
        let process = view.start(&words, |command| {
            command.stdin(Stdio::null()).stdout(Stdio::piped());
            command.stderr(Stdio::null());
        })?;
        let said = process.output()?.stdout;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

/// What gdb is told to say before each answer.
const NEXT: &str = "@next:";

/// The place in `Line 1971 of "net/ipv4/af_inet.c" starts at address …`.
fn place(said: &str) -> Option<String> {
    let (line, rest) = said.strip_prefix("Line ")?.split_once(" of \"")?;
    let (file, _) = rest.split_once('"')?;
    Some(format!("{file}:{line}"))
}

impl Call {
    fn parse(text: &str) -> Option<Self> {
        let (function, rest) = text.trim_start_matches("? ").split_once("+0x")?;
        let (offset, _) = rest.split_once("/0x")?;
        // gdb is asked about it, and would run what a program in the guest makes of it.
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if !function.chars().all(is_name) {
            return None;
        }
        Some(Self {
            function: function.to_owned(),
            offset: u64::from_str_radix(offset, 16).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oops_is_read() {
        let console = "\
            Kernel BUG at inet_init+0x9/0xb [verbose debug info unavailable]\r\n\
            invalid opcode: 0000 [#1]\r\n\
            CPU: 0 PID: 1 Comm: swapper Not tainted 6.1.176 #1 \r\n\
            RIP: 0010:inet_init+0x9/0xb\r\n\
            Code: 31 c0 be 52 <0f> 0b\r\n\
            Call Trace:\r\n\
            \x20<TASK>\r\n\
            \x20do_one_initcall+0x58/0x112\r\n\
            \x20? rest_init+0x8a/0x8a\r\n\
            \x20kernel_init+0x1a/0x106\r\n\
            \x20</TASK>\r\n\
            ---[ end trace 0000000000000000 ]---\r\n\
            RIP: 0010:inet_init+0x9/0xb\r\n\
            Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\r\n";
        let call = |function: &str, offset| Call {
            function: function.to_owned(),
            offset,
        };
        assert_eq!(
            Oops::find(console).unwrap(),
            Oops {
                what: "Kernel BUG at inet_init+0x9/0xb [verbose debug info unavailable]; \
                       Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"
                    .to_owned(),
                calls: vec![
                    call("inet_init", 0x9),
                    call("do_one_initcall", 0x58),
                    call("kernel_init", 0x1a)
                ],
            }
        );
        // Kernels before 5.16 mark neither end.
        let older = console.replace("\x20<TASK>\r\n", "");
        let older = older.replace("\x20</TASK>\r\n", "");
        assert_eq!(Oops::find(&older), Oops::find(console));
        // A program in the guest may write to the console, too, and gdb would do what this says.
        let hostile = console.replace("kernel_init", "$_shell(\"touch x\")");
        assert_eq!(Oops::find(&hostile).unwrap().calls.len(), 2);
        assert_eq!(Oops::find("Kernel panic - not syncing: no init\n"), None);
        let said = "Line 7 of \"net/a.c\" starts at address 0x1 <f+1> and ends at 0x2 <f+2>.\n";
        assert_eq!(place(said).unwrap(), "net/a.c:7");
    }
}
