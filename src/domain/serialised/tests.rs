use proptest::prelude::*;

use super::*;
use crate::domain::recipe::parse_path;

type Members<'a> = &'a dyn Fn(&Scalar) -> Result<Scalar, RecipeFault>;

fn edit_at(text: &[u8], path: &str, member: Members<'_>) -> Result<Option<Vec<u8>>, RecipeFault> {
    edit(text, &parse_path(path).unwrap(), member)
}

fn fixed(after: &'static str) -> impl Fn(&Scalar) -> Result<Scalar, RecipeFault> {
    move |value| {
        Ok(match value {
            Scalar::Null => Scalar::Null,
            _ if after == "NULL" => Scalar::Null,
            _ => Scalar::Text(after.into()),
        })
    }
}

#[track_caller]
fn becomes(path: &str, after: &'static str, before: &str, expected: &str) {
    let found = edit_at(before.as_bytes(), path, &fixed(after)).unwrap_or_else(|fault| panic!("{before}: {fault}"));
    let found = found.unwrap_or_else(|| before.as_bytes().to_vec());
    assert_eq!(String::from_utf8_lossy(&found), expected, "{path}");
}

#[test]
fn members_go_and_lengths_are_made_right() {
    // as PHP 8 writes ['email' => 'jan@ex.nl', 'naam' => 'Zoë', 0 => 5]
    let user = "a:3:{s:5:\"email\";s:9:\"jan@ex.nl\";s:4:\"naam\";s:4:\"Zoë\";i:0;i:5;}";
    becomes("email", "weg", user, "a:3:{s:5:\"email\";s:3:\"weg\";s:4:\"naam\";s:4:\"Zoë\";i:0;i:5;}");
    becomes("naam", "ééé", user, "a:3:{s:5:\"email\";s:9:\"jan@ex.nl\";s:4:\"naam\";s:6:\"ééé\";i:0;i:5;}");
    becomes("naam", "NULL", user, "a:3:{s:5:\"email\";s:9:\"jan@ex.nl\";s:4:\"naam\";N;i:0;i:5;}");
    becomes("[0]", "07", user, "a:3:{s:5:\"email\";s:9:\"jan@ex.nl\";s:4:\"naam\";s:4:\"Zoë\";i:0;i:7;}");
    becomes("0", "x", user, "a:3:{s:5:\"email\";s:9:\"jan@ex.nl\";s:4:\"naam\";s:4:\"Zoë\";i:0;s:1:\"x\";}");
    becomes("*", "NULL", user, "a:3:{s:5:\"email\";N;s:4:\"naam\";N;i:0;N;}");
    becomes("weg", "x", user, user);
    becomes("email.naam", "x", user, user);
    becomes("[\"a.b\"]", "x", "a:1:{s:3:\"a.b\";b:1;}", "a:1:{s:3:\"a.b\";s:1:\"x\";}");
    becomes("a", "0", "a:2:{s:1:\"a\";b:1;s:1:\"b\";d:0.5;}", "a:2:{s:1:\"a\";b:0;s:1:\"b\";d:0.5;}");
    becomes("b", "0.0", "a:1:{s:1:\"b\";d:1.0E+25;}", "a:1:{s:1:\"b\";d:0;}");
    becomes("a", "x", "a:1:{s:1:\"a\";s:7:\"\";s:1:\"\";}", "a:1:{s:1:\"a\";s:1:\"x\";}");
}

#[test]
fn properties_go_by_their_bare_name() {
    let object = "O:4:\"User\":3:{s:5:\"\0*\0ip\";s:2:\"ab\";s:10:\"\0User\0mail\";s:1:\"m\";s:4:\"open\";i:1;}";
    let after = "O:4:\"User\":3:{s:5:\"\0*\0ip\";N;s:10:\"\0User\0mail\";s:1:\"m\";s:4:\"open\";i:1;}";
    becomes("ip", "NULL", object, after);
    becomes("mail", "NULL", object, &object.replace("s:1:\"m\"", "N"));
    becomes(
        "a[0].mail",
        "NULL",
        &format!("a:1:{{s:1:\"a\";a:1:{{i:0;{object}}}}}"),
        &format!("a:1:{{s:1:\"a\";a:1:{{i:0;{}}}}}", object.replace("s:1:\"m\"", "N")),
    );
}

#[test]
fn references_keep_what_they_refer_to() {
    // 1 the array, 2 the inner array, 3 "x", 4 the object, then what refers to it
    let text = "a:4:{i:0;a:1:{i:0;s:1:\"x\";}i:1;O:1:\"O\":0:{}i:2;r:4;i:3;R:4;}";
    becomes("[0]", "NULL", text, "a:4:{i:0;N;i:1;O:1:\"O\":0:{}i:2;r:3;i:3;R:3;}");
    becomes("[0][0]", "NULL", text, "a:4:{i:0;a:1:{i:0;N;}i:1;O:1:\"O\":0:{}i:2;r:4;i:3;R:4;}");
    // a reference that becomes a value of its own takes a number
    becomes("[1]", "NULL", "a:4:{i:0;i:5;i:1;R:2;i:2;i:7;i:3;R:3;}", "a:4:{i:0;i:5;i:1;N;i:2;i:7;i:3;R:4;}");
    // the same variable under two names: replaced in both
    becomes("[0]", "weg", "a:2:{i:0;s:3:\"jan\";i:1;R:2;}", "a:2:{i:0;s:3:\"weg\";i:1;R:2;}");
    // a parent pointer
    becomes("x", "NULL", "O:1:\"N\":2:{s:1:\"p\";r:1;s:1:\"x\";i:1;}", "O:1:\"N\":2:{s:1:\"p\";r:1;s:1:\"x\";N;}");
}

#[test]
fn what_would_leave_a_reference_without_its_value_is_refused() {
    for (path, text) in [
        ("[0]", "a:2:{i:0;O:1:\"O\":0:{}i:1;r:2;}"),
        ("[0]", "a:2:{i:0;a:1:{i:0;i:5;}i:1;R:3;}"),
        ("[0]", "a:3:{i:0;a:1:{i:0;i:5;}i:1;C:1:\"X\":2:{ab}i:2;i:1;}"),
    ] {
        assert_eq!(edit_at(text.as_bytes(), path, &fixed("x")), Err(RecipeFault::NotSerialised), "{text}");
    }
    // with the same numbers an object with contents of its own is no obstacle
    becomes("[0]", "x", "a:2:{i:0;i:5;i:1;C:1:\"X\":2:{ab}}", "a:2:{i:0;s:1:\"x\";i:1;C:1:\"X\":2:{ab}}");
}

#[test]
fn every_type_is_read() {
    for text in [
        "N;",
        "b:0;",
        "b:1;",
        "i:-5;",
        "d:0.5;",
        "d:-INF;",
        "d:NAN;",
        "d:1.0E-7;",
        "s:0:\"\";",
        "s:3:\"a\";\";",
        "a:0:{}",
        "O:8:\"stdClass\":0:{}",
        "C:11:\"ArrayObject\":3:{x:i}",
        "E:11:\"Suit:Hearts\";",
        "O:9:\"App\\Users\":0:{}",
        "a:2:{i:0;E:3:\"A:B\";i:1;r:2;}",
    ] {
        assert_eq!(edit(text.as_bytes(), &[], &|value| Ok(value.clone())), Ok(None), "{text}");
    }
}

#[test]
fn what_is_malformed_is_refused() {
    let deep = format!("{}N;{}", "a:1:{i:0;".repeat(5000), "}".repeat(5000));
    for text in [
        "",
        "Jan",
        "N",
        "N;N;",
        "N; ",
        "b:2;",
        "i:;",
        "i:1",
        "i:99999999999999999999;",
        "i: 1;",
        "d:;",
        "d:x;",
        "s:3:\"ab\";",
        "s:1:\"ab\";",
        "s:-1:\"\";",
        "s:99999999999999999999:\"\";",
        "s:18446744073709551615:\"\";",
        "s:2:\"ab;",
        "a:1:{}",
        "a:0:{i:0;N;}",
        "a:1:{N;N;}",
        "a:1:{d:0.5;N;}",
        "a:-1:{}",
        "a:99999999999:{}",
        "O:0:\"\":0:{}",
        "O:1:\"a b\":0:{}",
        "C:1:\"X\":9:{ab}",
        "E:1:\"A\";",
        "R:1;",
        "r:1;",
        "a:1:{i:0;R:3;}",
        "a:1:{i:0;r:1;}",
        "a:1:{i:0;R:0;}",
        "S:1:\"a\";",
        "a:1:{i:0;r:2;}",
        deep.as_str(),
    ] {
        let read = edit(text.as_bytes(), &[], &|value| Ok(value.clone()));
        assert_eq!(read, Err(RecipeFault::NotSerialised), "{}", text.chars().take(30).collect::<String>());
    }
}

/// A value as a test knows it, to be written as PHP would.
#[derive(Debug, Clone)]
enum Php {
    Null,
    Bool(bool),
    Int(i64),
    Float(u16),
    Text(Vec<u8>),
    Array(Vec<(Vec<u8>, Php)>),
    Object(Vec<(Vec<u8>, Php)>),
    /// The same variable as the n-th value before it.
    Same(prop::sample::Index),
}

impl Php {
    fn write(&self, out: &mut Vec<u8>, numbered: &mut usize) {
        if !matches!(self, Self::Same(_)) {
            *numbered += 1;
        }
        match self {
            Self::Null => out.extend(b"N;"),
            Self::Bool(value) => out.extend(format!("b:{};", u8::from(*value)).bytes()),
            Self::Int(value) => out.extend(format!("i:{value};").bytes()),
            Self::Float(value) => out.extend(format!("d:{value}.5;").bytes()),
            Self::Text(bytes) => text(bytes, out),
            Self::Array(members) | Self::Object(members) => {
                let head = if matches!(self, Self::Array(_)) { "a" } else { "O:3:\"Obj\"" };
                out.extend(format!("{head}:{}:{{", members.len()).bytes());
                for (name, member) in members {
                    text(name, out);
                    member.write(out, numbered);
                }
                out.push(b'}');
            }
            Self::Same(before) if *numbered > 0 => out.extend(format!("R:{};", before.index(*numbered) + 1).bytes()),
            Self::Same(_) => Self::Null.write(out, numbered),
        }
    }
    fn serialised(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out, &mut 0);
        out
    }
}

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(format!("s:{}:\"", bytes.len()).bytes());
    out.extend(bytes);
    out.extend(b"\";");
}

fn any_php() -> impl Strategy<Value = Php> {
    let leaf = prop_oneof![
        Just(Php::Null),
        any::<bool>().prop_map(Php::Bool),
        any::<i64>().prop_map(Php::Int),
        any::<u16>().prop_map(Php::Float),
        any::<Vec<u8>>().prop_map(Php::Text),
        any::<prop::sample::Index>().prop_map(Php::Same),
    ];
    let name = || prop_oneof!["[abc]", "\\PC{0,3}", Just("\0*\0a".to_string())].prop_map(String::into_bytes);
    leaf.prop_recursive(4, 32, 4, move |inner| {
        let members = prop::collection::vec((name(), inner), 0..4);
        prop_oneof![members.clone().prop_map(Php::Array), members.prop_map(Php::Object)]
    })
}

/// Every reference's target, by the shape of the value that it refers to.
fn targets(bytes: &[u8]) -> Vec<Vec<u8>> {
    let nodes = read::read(bytes).unwrap();
    let target = |number: usize| nodes.iter().find(|node| node.number == Some(number)).unwrap();
    let shape = |node: &Node| match node.kind {
        Kind::Array | Kind::Object => vec![b'{'],
        _ => bytes[node.span.clone()].to_vec(),
    };
    nodes
        .iter()
        .filter_map(|node| match node.kind {
            Kind::Same(number) => Some(shape(target(number))),
            _ => None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_not_edited_keeps_every_byte(value in any_php()) {
        let bytes = value.serialised();
        prop_assert_eq!(edit_at(&bytes, "*", &|value| Ok(value.clone())), Ok(None));
        prop_assert_eq!(edit_at(&bytes, "*.*", &|value| Ok(value.clone())), Ok(None));
        // the flat list covers the text: put together again it is the text
        let nodes = read::read(&bytes).unwrap();
        let numbers: Vec<_> = (0..=nodes.len()).map(|number| Some((number, false))).collect();
        let none = vec![None; nodes.len()];
        prop_assert_eq!(assemble(&bytes, &nodes, &none, &numbers), Some(bytes));
    }

    #[test]
    fn an_edited_value_is_read_again_and_its_references_hold(value in any_php(), path in "[abc*](\\.[abc*]|\\[[0-2]\\]){0,2}") {
        let bytes = value.serialised();
        if let Ok(Some(after)) = edit_at(&bytes, &path, &fixed("[verwijderd]")) {
            prop_assert_eq!(edit_at(&after, &path, &|value| fixed("[verwijderd]")(value)).map(|again| again.unwrap_or_else(|| after.clone())), Ok(after.clone()));
            let kept = targets(&after);
            let before = targets(&bytes);
            // each reference that is left refers to what it did, or to what that was replaced by
            let mut left = before.into_iter();
            for target in kept {
                let replaced = target == b"s:12:\"[verwijderd]\";" || target == b"i:0;";
                prop_assert!(replaced || left.any(|one| one == target), "{}", String::from_utf8_lossy(&after));
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop_oneof![
        any::<Vec<u8>>(),
        "[NbidsaOCERr:;\"{}0-9a]{0,24}".prop_map(String::into_bytes),
        (any_php(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(value, at, byte)| {
            let mut bytes = value.serialised();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        }),
    ]) {
        if let Ok(Some(after)) = edit_at(&bytes, "*", &fixed("x")) {
            prop_assert!(read::read(&after).is_some());
        }
        prop_assert!(matches!(edit_at(&bytes, "*", &|value| Ok(value.clone())), Ok(None) | Err(RecipeFault::NotSerialised)));
    }
}
