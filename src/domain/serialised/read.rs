//! Reading a PHP-serialised value into a flat list of its values, in the order of the text.

use std::ops::Range;

/// Deeper values are refused.
const MAX_DEPTH: usize = 128;

/// One value.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Its bytes in the text.
    pub(super) span: Range<usize>,
    /// Its key or bare property name, inside an array or object.
    pub(super) name: Option<Name>,
    /// What it is.
    pub(super) kind: Kind,
    /// Its number for references, from 1. A reference of the kind `R` has none.
    pub(super) number: Option<usize>,
    /// The place in the list after its last descendant.
    pub(super) end: usize,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// `i:0;`
    Number(i64),
    /// `s:1:"a";`, for a private or protected property without its class.
    Text(Vec<u8>),
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `N;`
    Null,
    /// `b:1;`
    Bool,
    /// `i:1;`
    Int,
    /// `d:0.5;`
    Float,
    /// `s:1:"a";`
    Text {
        /// Where its bytes start in the text.
        start: usize,
        /// And end.
        end: usize,
    },
    /// `a:0:{}`
    Array,
    /// `O:8:"stdClass":0:{}`
    Object,
    /// `C:1:"X":2:{..}`: an object with contents of its own form.
    Custom,
    /// `E:11:"Suit:Hearts";`
    Enum,
    /// `R:1;`: the same variable as that value.
    Same(usize),
    /// `r:1;`: the same object as that value.
    SameObject(usize),
}

/// Reads the whole text; `None` where it is no PHP-serialised value, or more than one.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Node>> {
    let mut reader = Reader { bytes, at: 0, nodes: Vec::new(), numbered: Vec::new() };
    reader.value(None, 0)?;
    (reader.at == bytes.len()).then_some(reader.nodes)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    /// The place in `nodes` of each numbered value.
    numbered: Vec<usize>,
}

impl Reader<'_> {
    fn value(&mut self, name: Option<Name>, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let (start, place) = (self.at, self.nodes.len());
        let tag = self.next()?;
        let number = (tag != b'R').then(|| {
            self.numbered.push(place);
            self.numbered.len()
        });
        self.nodes.push(Node { span: start..start, name, kind: Kind::Null, number, end: place + 1 });
        let kind = match tag {
            b'N' => self.expect(b";").map(|()| Kind::Null)?,
            b'b' => self.boolean()?,
            b'i' => self.int().map(|_| Kind::Int)?,
            b'd' => self.float()?,
            b's' => {
                let text = self.counted_text()?;
                self.expect(b";")?;
                Kind::Text { start: text.start, end: text.end }
            }
            b'a' => {
                self.expect(b":")?;
                self.members(depth)?;
                Kind::Array
            }
            b'O' => {
                self.class_name()?;
                self.members(depth)?;
                Kind::Object
            }
            b'C' => self.custom()?,
            b'E' => self.case()?,
            b'R' => Kind::Same(self.reference(self.numbered.len())?),
            b'r' => self.object_reference()?,
            _ => return None,
        };
        let (at, end) = (self.at, self.nodes.len());
        let node = self.nodes.get_mut(place)?;
        (node.kind, node.span, node.end) = (kind, start..at, end);
        Some(())
    }

    fn members(&mut self, depth: usize) -> Option<()> {
        let count = self.count()?;
        self.expect(b":{")?;
        for _ in 0..count {
            let name = match self.next()? {
                b'i' => Name::Number(self.int()?),
                b's' => {
                    let text = self.counted_text()?;
                    self.expect(b";")?;
                    Name::Text(bare(self.bytes.get(text)?).to_vec())
                }
                _ => return None,
            };
            self.value(Some(name), depth + 1)?;
        }
        self.expect(b"}")
    }

    fn boolean(&mut self) -> Option<Kind> {
        self.expect(b":")?;
        matches!(self.next()?, b'0' | b'1').then_some(())?;
        self.expect(b";").map(|()| Kind::Bool)
    }

    fn int(&mut self) -> Option<i64> {
        self.expect(b":")?;
        let text = self.until(b';')?;
        text.parse().ok()
    }

    fn float(&mut self) -> Option<Kind> {
        self.expect(b":")?;
        let text = self.until(b';')?;
        let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
        let fits = matches!(text, "INF" | "-INF" | "NAN") || (plain && text.parse::<f64>().is_ok());
        fits.then_some(Kind::Float)
    }

    /// `:LEN:"bytes"`; the range of the bytes.
    fn counted_text(&mut self) -> Option<Range<usize>> {
        self.expect(b":")?;
        let length = self.count()?;
        self.expect(b":\"")?;
        let start = self.at;
        let end = start.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        self.at = end;
        self.expect(b"\"")?;
        Some(start..end)
    }

    fn class_name(&mut self) -> Option<()> {
        let name = self.counted_text()?;
        let name = self.bytes.get(name)?;
        let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'\\' | 0x80..);
        // An anonymous class has a NUL and a path in its name, and PHP does not serialise it.
        (!name.is_empty() && name.iter().all(fits)).then_some(())?;
        self.expect(b":")
    }

    fn custom(&mut self) -> Option<Kind> {
        self.class_name()?;
        let length = self.count()?;
        self.expect(b":{")?;
        self.at = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        self.expect(b"}").map(|()| Kind::Custom)
    }

    fn case(&mut self) -> Option<Kind> {
        let name = self.counted_text()?;
        self.bytes.get(name)?.contains(&b':').then_some(())?;
        self.expect(b";").map(|()| Kind::Enum)
    }

    /// The number of a value that came before, at most `newest`.
    fn reference(&mut self, newest: usize) -> Option<usize> {
        self.expect(b":")?;
        let text = self.until(b';')?;
        let number = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()?;
        (1..=newest).contains(&number).then_some(number)
    }

    fn object_reference(&mut self) -> Option<Kind> {
        // It is numbered itself, and can't refer to itself.
        let number = self.reference(self.numbered.len() - 1)?;
        let target = self.nodes.get(*self.numbered.get(number - 1)?)?;
        // An object that is still being read has no kind yet: it is an ancestor, known by its first byte.
        let is_object = matches!(self.bytes.get(target.span.start), Some(b'O' | b'C' | b'E' | b'r'));
        is_object.then_some(Kind::SameObject(number))
    }

    fn count(&mut self) -> Option<usize> {
        let rest = self.bytes.get(self.at..)?;
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let text = std::str::from_utf8(rest.get(..digits)?).ok()?;
        self.at += digits;
        text.parse().ok()
    }

    fn until(&mut self, end: u8) -> Option<&str> {
        let rest = self.bytes.get(self.at..)?;
        let length = rest.iter().take(64).position(|b| *b == end)?;
        self.at += length + 1;
        std::str::from_utf8(rest.get(..length)?).ok()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, what: &[u8]) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(what).then(|| self.at += what.len())
    }
}

/// A private property is written `\0Class\0name`, a protected one `\0*\0name`.
fn bare(name: &[u8]) -> &[u8] {
    match name.strip_prefix(b"\0").and_then(|rest| rest.iter().position(|b| *b == 0).map(|end| (rest, end))) {
        Some((rest, end)) => rest.get(end + 1..).unwrap_or_default(),
        None => name,
    }
}
