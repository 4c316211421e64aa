//! Records of the debugger's machine interface, parsed.
//!
//! Source: "GDB/MI Output Syntax" in the manual of gdb 13. Pure: text in, data out.

/// One line that gdb prints in machine-interface mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The answer to a command: `^done`, `^running`, `^error,msg="…"`.
    Result {
        /// `done`, `running`, `connected`, `error` or `exit`.
        class: String,
        /// What follows the class.
        fields: Fields,
    },
    /// The machine changed its state: `*running`, `*stopped,reason="breakpoint-hit",…`.
    Exec {
        /// `running` or `stopped`.
        class: String,
        /// What follows the class.
        fields: Fields,
    },
    /// Text for the console, as a user of the plain debugger would see it: `~"…"`.
    Console(String),
    /// Text that the debugger writes to standard error: `&"…"`.
    Log(String),
    /// What the target printed, `@"…"`; a notification, `=…` or `+…`; the prompt, `(gdb)`.
    Other,
}

/// The named values of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, Value)>);

/// A value: MI knows strings, tuples and lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `"text"`.
    Text(String),
    /// `{name=value,…}`.
    Tuple(Fields),
    /// `[value,…]` or `[name=value,…]`, whose names are dropped.
    List(Vec<Value>),
}

impl Fields {
    /// The text at a path of names: `frame`, `addr`.
    #[must_use]
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        let (name, rest) = path.split_first()?;
        match &self.0.iter().find(|(n, _)| n == name)?.1 {
            Value::Text(text) if rest.is_empty() => Some(text),
            Value::Tuple(fields) => fields.text(rest),
            _ => None,
        }
    }

    /// The texts of the list with this name; none when there is no such list.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<String> {
        let Some((_, Value::List(values))) = self.0.iter().find(|(n, _)| n == name) else {
            return Vec::new();
        };
        let texts = values.iter().filter_map(|value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        });
        texts.collect()
    }
}

/// A line that is not of MI's syntax.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("gdb printed a malformed MI record (byte {at}; `runner doctor` tries gdb): {line}")]
pub struct Malformed {
    /// The line.
    pub line: String,
    /// Where the syntax breaks, in bytes from the line's start.
    pub at: usize,
}

/// Parses one line, without its newline.
///
/// # Errors
/// [`Malformed`], with the place where the syntax breaks.
pub fn parse(line: &str) -> Result<Record, Malformed> {
    let mut reader = Reader {
        line,
        at: 0,
        depth: 0,
    };
    reader.record().map_err(|()| Malformed {
        line: line.to_owned(),
        at: reader.at,
    })
}

/// gdb nests a handful of levels; more is damage, and must not exhaust the stack.
const DEPTH_MAX: usize = 64;

struct Reader<'a> {
    line: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, wanted: u8) -> Result<(), ()> {
        if self.peek() != Some(wanted) {
            return Err(());
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self) -> String {
        let rest = &self.line[self.at..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
            .unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    fn record(&mut self) -> Result<Record, ()> {
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let kind = self.peek().ok_or(())?;
        if matches!(kind, b'=' | b'+' | b'@' | b'(') {
            return Ok(Record::Other);
        }
        self.take(kind)?;
        let record = match kind {
            b'~' => Record::Console(self.string()?),
            b'&' => Record::Log(self.string()?),
            b'^' | b'*' => {
                let class = self.word();
                let fields = match self.peek() {
                    None => Fields::default(),
                    Some(_) => {
                        self.take(b',')?;
                        self.fields()?
                    }
                };
                if kind == b'^' {
                    Record::Result { class, fields }
                } else {
                    Record::Exec { class, fields }
                }
            }
            _ => return Err(()),
        };
        if self.peek().is_some() {
            Err(())
        } else {
            Ok(record)
        }
    }

    fn fields(&mut self) -> Result<Fields, ()> {
        let mut fields = Vec::new();
        loop {
            let name = self.word();
            if name.is_empty() {
                return Err(());
            }
            self.take(b'=')?;
            fields.push((name, self.value()?));
            if self.take(b',').is_err() {
                return Ok(Fields(fields));
            }
        }
    }

    fn value(&mut self) -> Result<Value, ()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(());
        }
        let value = match self.peek().ok_or(())? {
            b'"' => Value::Text(self.string()?),
            b'{' => {
                self.take(b'{')?;
                let fields = if self.peek() == Some(b'}') {
                    Fields::default()
                } else {
                    self.fields()?
                };
                self.take(b'}')?;
                Value::Tuple(fields)
            }
            b'[' => Value::List(self.list()?),
            _ => return Err(()),
        };
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Vec<Value>, ()> {
        let mut values = Vec::new();
        self.take(b'[')?;
        if self.take(b']').is_ok() {
            return Ok(values);
        }
        loop {
            if !self.word().is_empty() {
                self.take(b'=')?;
            }
            values.push(self.value()?);
            if self.take(b',').is_err() {
                self.take(b']')?;
                return Ok(values);
            }
        }
    }

    /// A C string; an octal escape is a byte, so that the bytes of a UTF-8 character may come one
    /// by one.
    fn string(&mut self) -> Result<String, ()> {
        self.take(b'"')?;
        let mut bytes = Vec::new();
        loop {
            let c = self.peek().ok_or(())?;
            self.at += 1;
            match c {
                b'"' => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                b'\\' => bytes.push(self.escape()?),
                c => bytes.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<u8, ()> {
        let c = self.peek().ok_or(())?;
        self.at += 1;
        Ok(match c {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'e' => 27,
            b'0'..=b'7' => {
                let mut value = u32::from(c - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else {
                        break;
                    };
                    value = value * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                u8::try_from(value).map_err(|_| ())?
            }
            c if c.is_ascii_punctuation() => c,
            _ => return Err(()),
        })
    }
}

/// `text` as a C string, to be sent in a command.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_names_reason_and_frame() {
        let line = r#"*stopped,reason="breakpoint-hit",bkptno="1",frame={addr="0xffffffff81b2d6d0",func="start_kernel",args=[],file="init/main.c"},thread-id="1""#;
        let Ok(Record::Exec { class, fields }) = parse(line) else {
            panic!("{:?}", parse(line))
        };
        assert_eq!(class, "stopped");
        assert_eq!(fields.text(&["reason"]), Some("breakpoint-hit"));
        assert_eq!(fields.text(&["frame", "addr"]), Some("0xffffffff81b2d6d0"));
        assert_eq!(fields.text(&["frame", "args"]), None);
    }

    #[test]
    fn a_list_of_texts_is_found_by_its_name() {
        let Ok(Record::Result { fields, .. }) = parse(r#"^done,a="x",matches=["p a","p b"]"#)
        else {
            panic!()
        };
        assert_eq!(fields.texts("matches"), ["p a", "p b"]);
        assert!(fields.texts("a").is_empty());
    }

    #[test]
    fn streams_are_unescaped() {
        let console = |text: &str| Ok(Record::Console(text.to_owned()));
        assert_eq!(parse(r#"~"a \"b\"\n\t\\""#), console("a \"b\"\n\t\\"));
        assert_eq!(parse(r#"~"\303\274""#), console("ü"));
        assert_eq!(
            parse(r#"&"No symbol.\n""#),
            Ok(Record::Log("No symbol.\n".to_owned()))
        );
    }

    #[test]
    fn results_carry_a_token_or_none() {
        for line in ["^done", "12^done"] {
            assert!(matches!(parse(line), Ok(Record::Result { class, .. }) if class == "done"));
        }
        let Ok(Record::Result { fields, .. }) = parse(r#"3^error,msg="no",list=[a="1",b={}]"#)
        else {
            panic!()
        };
        assert_eq!(fields.text(&["msg"]), Some("no"));
        for line in ["(gdb) ", "=thread-group-added,id=\"i1\"", "@\"x\""] {
            assert_eq!(parse(line), Ok(Record::Other));
        }
    }

    #[test]
    fn damage_is_an_error_with_its_place() {
        for line in [
            "",
            "^done,",
            "*stopped,a=",
            "~\"a",
            "~\"\\q\"",
            "^done,a=\"b\"x",
            "hello",
            "~\"\\777\"",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let deep = format!("^done,a={}", "[".repeat(100_000));
        assert!(parse(&deep).is_err());
        assert_eq!(parse("*stopped,a=x").unwrap_err().at, 11);
    }

    #[test]
    fn a_quoted_command_reads_back() {
        let text = "print \"a\\n\"\n";
        assert_eq!(
            parse(&format!("~{}", quote(text))),
            Ok(Record::Console(text.to_owned()))
        );
    }
}
