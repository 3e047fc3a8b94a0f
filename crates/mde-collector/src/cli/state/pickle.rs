//! Pickles of plain values, read without executing anything: dictionaries, lists, tuples, sets, texts, numbers, and the dates of
//! `datetime`. Protocols 2 to 5; the opcodes as Python's `pickletools` describes them, read 2026-11-24.
//!
//! Whatever else a pickle asks for (any other class, any call) ends the reading.

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// An integer that does not.
    Huge,
    /// A float.
    Float(f64),
    /// A text.
    Text(String),
    /// Octets.
    Octets(Vec<u8>),
    /// A list, tuple or set.
    List(Vec<Value>),
    /// A dictionary, in its order.
    Dict(Vec<(Value, Value)>),
    /// `datetime.datetime` as text: `2026-11-24T09:00:00.123456`, with its offset where it has one.
    Moment(String),
    /// One of the classes that are understood, not yet called.
    Class(Class),
    /// `datetime.timezone` or `datetime.timedelta`. Unit: seconds.
    Offset(i64),
}

/// The classes that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// `datetime.datetime`.
    Datetime,
    /// `datetime.timezone`.
    Timezone,
    /// `datetime.timedelta`.
    Timedelta,
    /// `collections.OrderedDict`.
    OrderedDict,
}

/// Most values in one pickle; a hostile one repeats itself without end.
const MOST: usize = 1_000_000;

/// Reads one. The error says what was met, never what it held.
pub(super) fn read(octets: &[u8]) -> Result<Value, String> {
    let mut machine = Machine { rest: octets, stack: Vec::new(), marks: Vec::new(), memo: Vec::new(), steps: 0 };
    loop {
        if let Some(value) = machine.step()? {
            return Ok(value);
        }
    }
}

/// A pickle half read.
struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: Vec<Option<Value>>,
    steps: usize,
}

impl<'a> Machine<'a> {
    /// One opcode; the value at the last one.
    fn step(&mut self) -> Result<Option<Value>, String> {
        self.steps += 1;
        if self.steps > MOST || self.stack.len() > MOST {
            return Err("it is too large".to_owned());
        }
        let opcode = self.take(1)?[0];
        match opcode {
            b'\x80' => drop(self.take(1)?),
            b'\x95' => drop(self.take(8)?),
            b'.' => return self.pop().map(Some),
            b'N' => self.stack.push(Value::None),
            b'\x88' => self.stack.push(Value::Bool(true)),
            b'\x89' => self.stack.push(Value::Bool(false)),
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let octets: [u8; 4] = self.take(4)?.try_into().expect("four");
                self.stack.push(Value::Int(i64::from(i32::from_le_bytes(octets))));
            }
            b'\x8a' => self.long(1)?,
            b'\x8b' => self.long(4)?,
            b'G' => {
                let octets: [u8; 8] = self.take(8)?.try_into().expect("eight");
                self.stack.push(Value::Float(f64::from_be_bytes(octets)));
            }
            b'\x8c' => self.text(1)?,
            b'X' => self.text(4)?,
            b'\x8d' => self.text(8)?,
            b'C' => self.octets(1)?,
            b'B' => self.octets(4)?,
            b'\x8e' | b'\x96' => self.octets(8)?,
            // A byte string of Python 2.
            b'U' => self.octets(1)?,
            b'T' => self.octets(4)?,
            b'}' => self.stack.push(Value::Dict(Vec::new())),
            b']' | b')' | b'\x8f' => self.stack.push(Value::List(Vec::new())),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => {
                let top = self.stack.last().cloned().ok_or_else(short)?;
                self.stack.push(top);
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | b'\x90' => {
                let items = self.since_mark()?;
                self.extend(items)?;
            }
            b'l' | b't' | b'\x91' => {
                let items = self.since_mark()?;
                self.stack.push(Value::List(items));
            }
            b'\x85' => self.tuple(1)?,
            b'\x86' => self.tuple(2)?,
            b'\x87' => self.tuple(3)?,
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(vec![key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.insert(items)?;
            }
            b'd' => {
                let items = self.since_mark()?;
                self.stack.push(Value::Dict(Vec::new()));
                self.insert(items)?;
            }
            b'\x94' => self.remember(self.memo.len())?,
            b'q' => {
                let index = self.number(1)?;
                self.remember(index)?;
            }
            b'r' => {
                let index = self.number(4)?;
                self.remember(index)?;
            }
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.class(module, name)?;
            }
            b'\x93' => {
                let (Value::Text(name), Value::Text(module)) = (self.pop()?, self.pop()?) else {
                    return Err("it names a class by something that is no text".to_owned());
                };
                self.class(&module, &name)?;
            }
            b'R' | b'\x81' => {
                let arguments = self.pop()?;
                let class = self.pop()?;
                self.stack.push(made(class, arguments)?);
            }
            other => return Err(format!("it uses opcode {other:#04x}, which is for more than plain values")),
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Up to the end of a line.
    fn line(&mut self) -> Result<&'a str, String> {
        let end = self.rest.iter().position(|octet| *octet == b'\n').ok_or_else(short)?;
        let line = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| "it names a class by something that is no text".to_owned())
    }

    /// A count in so many octets.
    fn number(&mut self, octets: usize) -> Result<usize, String> {
        let number = self
            .take(octets)?
            .iter()
            .rev()
            .try_fold(0_usize, |sum, octet| Some(sum.checked_mul(256)? | usize::from(*octet)));
        number.ok_or_else(|| "it is too large".to_owned())
    }

    fn integer(&mut self, octets: usize) -> Result<(), String> {
        let number = self.number(octets)?;
        self.stack.push(Value::Int(i64::try_from(number).expect("two octets at most")));
        Ok(())
    }

    /// A number of any length in two's complement.
    fn long(&mut self, octets: usize) -> Result<(), String> {
        let length = self.number(octets)?;
        let digits = self.take(length)?;
        if digits.len() > 8 {
            self.stack.push(Value::Huge);
            return Ok(());
        }
        let negative = digits.last().is_some_and(|octet| octet & 0x80 != 0);
        let mut filled = [if negative { 0xff } else { 0 }; 8];
        filled[..digits.len()].copy_from_slice(digits);
        self.stack.push(Value::Int(i64::from_le_bytes(filled)));
        Ok(())
    }

    fn text(&mut self, octets: usize) -> Result<(), String> {
        let length = self.number(octets)?;
        // Python writes a lone surrogate as three octets that are no UTF-8.
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn octets(&mut self, octets: usize) -> Result<(), String> {
        let length = self.number(octets)?;
        let octets = self.take(length)?.to_vec();
        self.stack.push(Value::Octets(octets));
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(short)
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or_else(short)?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let start = self.stack.len().checked_sub(count).ok_or_else(short)?;
        let items = self.stack.split_off(start);
        self.stack.push(Value::List(items));
        Ok(())
    }

    fn extend(&mut self, items: Vec<Value>) -> Result<(), String> {
        match self.stack.last_mut() {
            Some(Value::List(list)) => list.extend(items),
            _ => return Err("it adds to something that is no list".to_owned()),
        }
        Ok(())
    }

    fn insert(&mut self, items: Vec<Value>) -> Result<(), String> {
        let Some(Value::Dict(dict)) = self.stack.last_mut() else {
            return Err("it adds to something that is no dictionary".to_owned());
        };
        let mut items = items.into_iter();
        while let Some(key) = items.next() {
            dict.push((key, items.next().ok_or_else(short)?));
        }
        Ok(())
    }

    /// Keeps the top for later. A value that is filled afterwards is kept as it was then, which is empty: state files never refer
    /// back to their containers.
    fn remember(&mut self, index: usize) -> Result<(), String> {
        if index > MOST {
            return Err("it is too large".to_owned());
        }
        let top = self.stack.last().ok_or_else(short)?;
        let kept = match top {
            Value::List(_) | Value::Dict(_) => None,
            plain => Some(plain.clone()),
        };
        if self.memo.len() <= index {
            self.memo.resize(index + 1, None);
        }
        self.memo[index] = kept;
        Ok(())
    }

    fn recall(&mut self, octets: usize) -> Result<(), String> {
        let index = self.number(octets)?;
        match self.memo.get(index) {
            Some(Some(value)) => {
                // Texts that are repeated count by their length.
                self.steps += match value {
                    Value::Text(text) => text.len(),
                    Value::Octets(octets) => octets.len(),
                    _ => 0,
                };
                self.stack.push(value.clone());
            }
            _ => return Err("it refers back to a list or dictionary".to_owned()),
        }
        Ok(())
    }

    fn class(&mut self, module: &str, name: &str) -> Result<(), String> {
        let value = match (module, name) {
            ("datetime", "datetime") => Value::Class(Class::Datetime),
            ("datetime", "timezone") => Value::Class(Class::Timezone),
            ("datetime", "timedelta") => Value::Class(Class::Timedelta),
            ("collections", "OrderedDict") => Value::Class(Class::OrderedDict),
            _ => return Err(format!("it asks for the class {module}.{name}, which is no plain value")),
        };
        self.stack.push(value);
        Ok(())
    }
}

/// The error of a pickle that ends too early or takes more than there is.
fn short() -> String {
    "it was cut off, or is no pickle".to_owned()
}

/// What a call of one of the understood classes makes.
fn made(class: Value, arguments: Value) -> Result<Value, String> {
    let Value::List(arguments) = arguments else { return Err(short()) };
    match (class, &arguments[..]) {
        (Value::Class(Class::OrderedDict), []) => Ok(Value::Dict(Vec::new())),
        (Value::Class(Class::Timedelta), [Value::Int(days), Value::Int(seconds), Value::Int(_)]) => {
            Ok(Value::Offset(days.saturating_mul(86_400).saturating_add(*seconds)))
        }
        (Value::Class(Class::Timezone), [Value::Offset(seconds), ..]) => Ok(Value::Offset(*seconds)),
        (Value::Class(Class::Datetime), [Value::Octets(octets)]) => moment(octets, None),
        (Value::Class(Class::Datetime), [Value::Octets(octets), Value::Offset(seconds)]) => {
            moment(octets, Some(*seconds))
        }
        _ => Err("it makes something that is no plain value".to_owned()),
    }
}

/// A `datetime` from its ten octets: year, month, day, hour, minute, second, microseconds.
fn moment(octets: &[u8], offset_s: Option<i64>) -> Result<Value, String> {
    let [y1, y2, month, day, hour, minute, second, m1, m2, m3] = octets else {
        return Err("it has a date that is none".to_owned());
    };
    let year = u16::from_be_bytes([*y1, *y2]);
    let micros = u32::from_be_bytes([0, *m1, *m2, *m3]);
    let zone = offset_s.map_or_else(String::new, |seconds| {
        let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs() / 60);
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    });
    Ok(Value::Moment(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}{zone}")))
}

impl Value {
    /// A value of a dictionary by its key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(items) = self else { return None };
        items.iter().find(|(name, _)| matches!(name, Self::Text(text) if text == key)).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Octets from hex digits.
    fn octets(digits: &str) -> Vec<u8> {
        crate::store::portable::unhex(digits).expect("digits")
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    /// `pickle.dumps({"a": [1, -2, 70000, 1.5, None, True], "b": ("x", "x")}, protocol=n)`.
    const PLAIN: [&str; 2] = [
        "80027d71002858010000006171015d7102284b014afeffffff4a70110100473ff80000000000004e8865580100000062710358010000007871
         046804867105752e",
        "80049530000000000000007d94288c0161945d94284b014afeffffff4a70110100473ff80000000000004e88658c0162948c01789468048694
         752e",
    ];

    #[test]
    fn plain_values_of_old_and_new_protocols_are_read() {
        let list =
            vec![Value::Int(1), Value::Int(-2), Value::Int(70_000), Value::Float(1.5), Value::None, Value::Bool(true)];
        let expected =
            Value::Dict(vec![(text("a"), Value::List(list)), (text("b"), Value::List(vec![text("x"), text("x")]))]);
        for digits in PLAIN {
            let octets = octets(&digits.replace(char::is_whitespace, ""));
            assert_eq!(read(&octets), Ok(expected.clone()));
        }
    }

    #[test]
    fn dates_are_read_and_told_as_text() {
        // {"t": datetime(2026, 11, 24, 9, 30, 5, 123456)}: GLOBAL, ten octets, TUPLE1, REDUCE.
        let mut pickle = b"\x80\x03}X\x01\x00\x00\x00tcdatetime\ndatetime\nC\x0a".to_vec();
        pickle.extend([0x07, 0xea, 11, 24, 9, 30, 5, 0x01, 0xe2, 0x40]);
        pickle.extend(b"\x85Rs.");
        let value = read(&pickle).expect("a date");
        assert_eq!(value.get("t"), Some(&Value::Moment("2026-11-24T09:30:05.123456".to_owned())));
        // The same with protocol 4 and a zone two hours west: STACK_GLOBAL, timezone(timedelta(-1, 79200)).
        let mut pickle = b"\x80\x04}\x8c\x01t\x8c\x08datetime\x94\x8c\x08datetime\x93C\x0a".to_vec();
        pickle.extend([0x07, 0xea, 11, 24, 9, 30, 5, 0, 0, 0]);
        pickle.extend(
            b"h\x00\x8c\x08timezone\x93h\x00\x8c\x09timedelta\x93J\xff\xff\xff\xffJ`5\x01\x00K\x00\x87R\x85R\x86Rs.",
        );
        let value = read(&pickle).expect("a date");
        assert_eq!(value.get("t"), Some(&Value::Moment("2026-11-24T09:30:05.000000-02:00".to_owned())));
    }

    #[test]
    fn whatever_would_execute_something_is_refused_by_its_name() {
        let error = read(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.").expect_err("no plain value");
        assert!(error.contains("os.system"), "{error}");
        let error = read(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.").expect_err("no plain value");
        assert!(error.contains("builtins.eval"), "{error}");
        for opcode in [b'i', b'o', b'b', b'P', b'Q', b'\x82'] {
            read(&[0x80, 2, b'(', opcode]).expect_err("it is for more than plain values");
        }
    }

    #[test]
    fn no_octets_at_all_or_any_cut_is_an_error_and_no_panic() {
        for digits in PLAIN {
            let whole = octets(&digits.replace(char::is_whitespace, ""));
            for length in 0..whole.len() {
                read(&whole[..length]).expect_err("it was cut");
            }
            for place in 0..whole.len() {
                for octet in 0..=u8::MAX {
                    let mut other = whole.clone();
                    other[place] = octet;
                    read(&other).ok();
                }
            }
        }
    }

    #[test]
    fn numbers_of_any_length_are_read_or_told_as_huge() {
        assert_eq!(read(b"\x80\x02\x8a\x02\x00\x80."), Ok(Value::Int(-32_768)));
        assert_eq!(read(b"\x80\x02\x8a\x00."), Ok(Value::Int(0)));
        assert_eq!(read(b"\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01."), Ok(Value::Huge));
    }
}
