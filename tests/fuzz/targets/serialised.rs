//! Any bytes as a PHP-serialised value whose members are anonymised: those go, lengths and references are right, and
//! everything else stays.
//!
//! The model is another reader, into a tree in which a reference names the place that it leads to and not a number: what
//! the path leads to is blanked before and after, and then both trees are the same.

use bewaard::domain::recipe::{Recipe, RecipeFault, Step, parse_path};
use bewaard::domain::value::Scalar;

use super::document::path;
use super::input::Input;
use super::value::{apply, is_final, recipe};

const PATHS: [&str; 8] = ["email", "*", "a.b", "items[*].email", "[0]", "[\"a.b\"]", "*.*", "a[1]"];

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let member = recipe(&mut input);
    let path = path(&mut input, &PATHS);
    let recipe = Recipe::PhpSerialised([(path.clone(), member.clone())].into());
    let Some(steps) = parse_path(&path) else {
        return assert_eq!(apply(&recipe, &Scalar::Text("N;".into())), Err(RecipeFault::Path));
    };
    let bytes = input.rest().to_vec();
    let after = match apply(&recipe, &Scalar::Bytes(bytes.clone())) {
        Ok(Scalar::Bytes(after)) => after,
        Ok(_) => panic!("bytes become something else"),
        Err(_) => return,
    };
    if bytes.trim_ascii().is_empty() {
        return assert_eq!(after, bytes, "an empty text is no document");
    }
    let again = Scalar::Bytes(after.clone());
    assert!(is_final(&recipe, &again), "what is done is known as done");
    assert_eq!(apply(&recipe, &again), Ok(again), "what is done is not done again");
    let mut old = read(&bytes).expect("what is anonymised is PHP-serialised");
    let mut new = read(&after).expect("what was PHP-serialised is so still");
    let (mut were, mut are) = (Vec::new(), Vec::new());
    blank(&mut old, &steps, &mut were);
    blank(&mut new, &steps, &mut are);
    assert_eq!(old, new, "something else changed");
    assert_eq!(were.len(), are.len());
    for (was, is) in were.iter().zip(are) {
        match member {
            Recipe::Null => assert_eq!(is, What::Plain(b"N;".to_vec()), "a member is left"),
            _ if *was == What::Plain(b"N;".to_vec()) => assert_eq!(is, *was, "a member comes in"),
            Recipe::Fixed(ref text) if text == "weg" => {
                assert_eq!(is, What::Plain(b"s:3:\"weg\";".to_vec()), "a member is left");
            }
            _ => {}
        }
    }
}

/// A value with its key.
#[derive(Debug, PartialEq, Eq)]
struct Member {
    /// `i:7;`, or `s` and the text.
    key: Vec<u8>,
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    /// Text, number, truth, nothing, a case of an enum, an object of its own form: its bytes.
    Plain(Vec<u8>),
    /// An array or an object: what stands before its members, and they.
    Holds(Vec<u8>, Vec<Member>),
    /// A reference: its kind, and the way to the value from the top.
    Refers(u8, Vec<usize>),
    /// Taken out.
    Blank,
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// The way to each numbered value.
    ways: Vec<Vec<usize>>,
}

fn read(bytes: &[u8]) -> Option<What> {
    let mut reader = Reader { bytes, ways: Vec::new() };
    let what = reader.value(&mut Vec::new())?;
    reader.bytes.is_empty().then_some(what)
}

impl<'a> Reader<'a> {
    fn value(&mut self, way: &mut Vec<usize>) -> Option<What> {
        let tag = *self.bytes.first()?;
        if tag != b'R' {
            self.ways.push(way.clone());
        }
        match tag {
            b's' | b'E' | b'C' => self.counted(tag),
            b'a' => {
                let head = self.take(2)?;
                self.members(head, way)
            }
            b'O' => {
                let length = self.length_at(2)?;
                let head = self.take(2 + length.to_string().len() + 3 + length + 1)?;
                self.members(head, way)
            }
            b'R' | b'r' => {
                let text = self.until(b';')?;
                let number: usize = std::str::from_utf8(text.get(2..text.len() - 1)?).ok()?.parse().ok()?;
                Some(What::Refers(tag, self.ways.get(number.checked_sub(1)?)?.clone()))
            }
            _ => self.until(b';').map(|text| What::Plain(text.to_vec())),
        }
    }

    /// Something whose length stands before its bytes.
    fn counted(&mut self, tag: u8) -> Option<What> {
        let name = self.length_at(2)?;
        let digits = self.digits_at(2);
        if tag != b'C' {
            return self.take(2 + digits + 2 + name + 2).map(|text| What::Plain(text.to_vec()));
        }
        let second = 2 + digits + 2 + name + 2;
        let length = self.length_at(second)?;
        let more = self.digits_at(second);
        self.take(second + more + 2 + length + 1).map(|text| What::Plain(text.to_vec()))
    }

    fn members(&mut self, head: &[u8], way: &mut Vec<usize>) -> Option<What> {
        let count = self.length_at(0)?;
        self.take(self.digits_at(0) + 2)?;
        let mut members = Vec::new();
        for place in 0..count {
            let key = match self.bytes.first()? {
                b's' => {
                    let What::Plain(text) = self.counted(b's')? else { return None };
                    let quoted = text.iter().position(|b| *b == b'"')? + 1;
                    [b"s", text.get(quoted..text.len() - 2)?].concat()
                }
                _ => self.until(b';')?.to_vec(),
            };
            way.push(place);
            let what = self.value(way)?;
            way.pop();
            members.push(Member { key, what });
        }
        (self.take(1)? == b"}").then(|| What::Holds(head.to_vec(), members))
    }

    fn digits_at(&self, at: usize) -> usize {
        self.bytes.iter().skip(at).take_while(|b| b.is_ascii_digit()).count()
    }

    fn length_at(&self, at: usize) -> Option<usize> {
        std::str::from_utf8(self.bytes.get(at..at + self.digits_at(at))?).ok()?.parse().ok()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(first)
    }

    fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        let length = self.bytes.iter().position(|b| *b == end)?;
        self.take(length + 1)
    }
}

fn blank(what: &mut What, steps: &[Step], found: &mut Vec<What>) {
    let Some((step, rest)) = steps.split_first() else { return found.push(std::mem::replace(what, What::Blank)) };
    let What::Holds(_, members) = what else { return };
    for member in members {
        let fits = match (step, number(&member.key)) {
            (Step::All, _) => true,
            (Step::Index(place), found) => i64::try_from(*place).ok() == found && found.is_some(),
            (Step::Name(name), Some(found)) => *name == found.to_string(),
            (Step::Name(name), None) => bare(&member.key[1..]) == name.as_bytes(),
        };
        if fits {
            blank(&mut member.what, rest, found);
        }
    }
}

/// The number that `i:7;` is.
fn number(key: &[u8]) -> Option<i64> {
    let text = key.strip_prefix(b"i:")?.strip_suffix(b";")?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The name of a private or protected property without its class.
fn bare(key: &[u8]) -> &[u8] {
    let end = key.strip_prefix(b"\0").and_then(|rest| rest.iter().position(|b| *b == 0));
    end.map_or(key, |end| &key[end + 2..])
}
