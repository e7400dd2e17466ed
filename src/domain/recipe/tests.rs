use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-11-23 09:00:00";

fn text(text: &str) -> Scalar {
    Scalar::Text(text.into())
}
fn typed(ty: &str, text: &str) -> Scalar {
    Scalar::Typed { ty: ty.into(), text: text.into() }
}

fn with<T>(act: impl FnOnce(&RecipeContext<'_>) -> T) -> T {
    let key = Key(vec![Scalar::Int(7), Scalar::Bytes(vec![0xAB, 1]), text("x")]);
    act(&RecipeContext { key: &key, record: b"record", pseudonym: &MacKey::new(&[3; 32]), now: NOW })
}

fn apply(recipe: &Recipe, value: &Scalar) -> Result<Scalar, RecipeFault> {
    with(|ctx| recipe.apply(value, ctx))
}
fn is_final(recipe: &Recipe, value: &Scalar) -> bool {
    with(|ctx| recipe.is_final(value, ctx))
}

/// Compares values, which have no printing form, as text.
#[track_caller]
fn becomes(recipe: &Recipe, before: &str, after: &str) {
    let found = apply(recipe, &text(before)).unwrap_or_else(|fault| panic!("{before}: {fault}"));
    assert_eq!(found.as_text(), Some(after), "{before}");
    assert!(is_final(recipe, &found), "{before}");
}

fn json(members: &[(&str, Recipe)]) -> Recipe {
    Recipe::Json(members.iter().map(|(path, recipe)| ((*path).to_string(), recipe.clone())).collect())
}
fn fixed(text: &str) -> Recipe {
    Recipe::Fixed(text.into())
}

#[test]
fn simple_recipes_do_what_they_say() {
    assert!(apply(&Recipe::Null, &text("Jan")) == Ok(Scalar::Null));
    becomes(&fixed("[verwijderd]"), "Jan", "[verwijderd]");
    becomes(&Recipe::Template("weg-{key}@example.invalid".into()), "jan@x.nl", "weg-7-ab01-x@example.invalid");
    assert!(apply(&Recipe::Marker, &Scalar::Null) == Ok(text(NOW)));
    assert!(!is_final(&Recipe::Marker, &Scalar::Null) && is_final(&Recipe::Marker, &text("earlier")));
}

#[test]
fn null_stays_null() {
    let recipes = [
        Recipe::Null,
        fixed("x"),
        Recipe::Template("{key}".into()),
        Recipe::Truncate(Truncate::Month),
        Recipe::Pseudonym { length: 20 },
        json(&[("a", Recipe::Null)]),
        Recipe::PhpSerialised([("a".to_string(), Recipe::Null)].into()),
    ];
    for recipe in recipes {
        assert!(is_final(&recipe, &Scalar::Null), "{recipe:?}");
    }
}

#[test]
fn a_value_that_reads_back_as_the_fixed_text_is_in_final_form() {
    for (recipe, value) in [
        ("0", Scalar::Int(0)),
        ("00", Scalar::Int(0)),
        ("18446744073709551615", Scalar::UInt(u64::MAX)),
        ("-1.50", typed("numeric(10,3)", "-1.500")),
        ("0", typed("DECIMAL", "0.00")),
        ("0", Scalar::from_f64(0.0)),
        ("0.5", Scalar::from_f64(0.5)),
        ("false", typed("boolean", "f")),
        ("1970-01-01", typed("timestamp with time zone", "1970-01-01 00:00:00+00")),
        ("1970-01-01", typed("datetime", "1970-01-01 00:00:00.000000")),
        ("abc", Scalar::Bytes(b"abc".to_vec())),
    ] {
        assert!(is_final(&fixed(recipe), &value), "{recipe} {}", value.show());
        assert!(apply(&fixed(recipe), &value) == Ok(value));
    }
    for (recipe, value) in [
        ("0", Scalar::Int(1)),
        ("0", text("0.0")),
        ("", Scalar::Int(0)),
        ("1 mon", typed("interval", "1 mons")),
        ("1970-01-01", typed("datetime", "1970-01-01 00:00:01")),
        ("0", typed("varchar", "00")),
        ("0xab", Scalar::Bytes(vec![0xAB])),
    ] {
        assert!(!is_final(&fixed(recipe), &value), "{recipe} {}", value.show());
        assert!(apply(&fixed(recipe), &value) == Ok(text(recipe)));
    }
}

#[test]
fn pseudonyms_depend_on_the_record_and_the_key_alone() {
    let recipe = Recipe::Pseudonym { length: 20 };
    let one = apply(&recipe, &text("jan@x.nl")).unwrap();
    assert!(apply(&recipe, &text("other")) == Ok(one.clone()));
    assert_eq!(one.as_text().map(str::len), Some(20));
    assert!(one.as_text().is_some_and(|text| text.starts_with("p-")));
    for (length, written) in [(8, 8), (64, 64), (0, 8), (1000, 64)] {
        let found = apply(&Recipe::Pseudonym { length }, &text("x")).unwrap();
        assert_eq!(found.as_text().map(str::len), Some(written));
    }
    let key = Key(vec![Scalar::Int(7)]);
    let ctx = |record, seed| {
        let pseudonym = MacKey::new(&[seed; 32]);
        recipe.apply(&text("x"), &RecipeContext { key: &key, record, pseudonym: &pseudonym, now: NOW }).unwrap()
    };
    assert!(ctx(b"a", 1) != ctx(b"b", 1) && ctx(b"a", 1) != ctx(b"a", 2) && ctx(b"a", 1) == ctx(b"a", 1));
}

#[test]
fn addresses_are_cut_to_their_network() {
    let recipe = Recipe::Truncate(Truncate::Ip);
    for (before, after) in [
        ("192.168.17.254", "192.168.17.0"),
        (" 10.0.0.1 ", "10.0.0.0"),
        ("192.168.17.254/32", "192.168.17.0/32"),
        ("192.168.17.0/24", "192.168.17.0/24"),
        ("2001:db8:1234:5678::9", "2001:db8:1234::"),
        ("2001:0DB8:0:0::1/128", "2001:db8::/128"),
        ("::ffff:192.168.17.254", "::ffff:192.168.17.0"),
        ("::1", "::"),
        ("2001:db8::", "2001:db8::"),
        ("unknown", ""),
        ("1.2.3.4, 5.6.7.8", ""),
        ("1.2.3.4/999", ""),
        ("1.2.3.4/", ""),
        ("fe80::1%eth0", ""),
        ("", ""),
    ] {
        becomes(&recipe, before, after);
    }
    let inet = apply(&recipe, &typed("inet", "10.1.2.3/32")).unwrap();
    assert!(inet == typed("inet", "10.1.2.0/32"));
    assert!(apply(&recipe, &Scalar::Bytes(vec![10, 1, 2, 3])) == Err(RecipeFault::Kind));
    assert!(apply(&recipe, &Scalar::Int(167_838_211)) == Err(RecipeFault::Kind));
}

#[test]
fn postcodes_keep_their_digits() {
    for (before, after) in [
        ("1234 AB", "1234"),
        ("1234ab", "1234"),
        ("1234\u{a0}AB ", "1234"),
        ("1234", "1234"),
        ("0123 AB", ""),
        ("12345", ""),
        ("B-2000", ""),
        ("SW1A 1AA", ""),
        ("é", ""),
        ("1234éx", ""),
        ("", ""),
    ] {
        becomes(&Recipe::Truncate(Truncate::Postcode), before, after);
    }
    assert!(is_final(&Recipe::Truncate(Truncate::Postcode), &Scalar::Int(1234)));
}

#[test]
fn dates_keep_their_shape() {
    for (how, before, after) in [
        (Truncate::Month, "2023-03-14", "2023-03-01"),
        (Truncate::Year, "2023-03-14", "2023-01-01"),
        (Truncate::Month, "2023-03-14 23:59:58", "2023-03-01 00:00:00"),
        (Truncate::Month, "2023-03-14T23:59:58.123Z", "2023-03-01T00:00:00.000Z"),
        (Truncate::Year, "2023-03-14 23:59:58.12+01:30", "2023-01-01 00:00:00.00+01:30"),
        (Truncate::Year, "2023-03-14 23:59:58 +0100", "2023-01-01 00:00:00 +0100"),
        (Truncate::Month, "2023-03-14 23:59", "2023-03-01 00:00"),
        (Truncate::Month, "2023-03-01 10:00:00", "2023-03-01 00:00:00"),
        (Truncate::Month, "2020-05-00", "2020-05-01"),
        (Truncate::Month, "2020-00-00 00:00:00", "2020-01-01 00:00:00"),
        (Truncate::Month, "0000-00-00", "0000-00-00"),
        (Truncate::Month, "infinity", "infinity"),
        (Truncate::Month, "", ""),
    ] {
        becomes(&Recipe::Truncate(how), before, after);
    }
    for bad in ["14-03-2023", "2023-13-01", "2023-3-14", "2023-03-14x", "2023-03-14 25", "gisteren", "2023-03-1é", "1é"]
    {
        assert!(apply(&Recipe::Truncate(Truncate::Month), &text(bad)) == Err(RecipeFault::Kind), "{bad}");
    }
    assert!(apply(&Recipe::Truncate(Truncate::Month), &typed("date", "2023-03-14")) == Ok(typed("date", "2023-03-01")));
    assert!(apply(&Recipe::Truncate(Truncate::Month), &Scalar::Int(1_678_836_600)) == Err(RecipeFault::Kind));
}

#[test]
fn members_of_a_json_document_go_and_the_rest_keeps_its_bytes() {
    let null = Recipe::Null;
    for (members, before, after) in [
        (vec![("a.b[0].c", &null)], r#"{"a":{"b":[{"c":"Jan","d":1}]}}"#, r#"{"a":{"b":[{"c":null,"d":1}]}}"#),
        (
            vec![("email", &null)],
            "{ \"z\" : 1e400,\n \"email\" : \"j\", \"a\":2 }",
            "{ \"z\" : 1e400,\n \"email\" : null, \"a\":2 }",
        ),
        (
            vec![("email", &null)],
            r#"{"n":12345678901234567890.12345678901234567890,"email":1}"#,
            r#"{"n":12345678901234567890.12345678901234567890,"email":null}"#,
        ),
        (vec![("email", &null)], r#"{"e\u006dail":"Jan","email":"Jan"}"#, r#"{"e\u006dail":null,"email":null}"#),
        (vec![("a", &null)], r#"{"a\"":"]}","a":{"x":["}",{}]},"b":[]}"#, r#"{"a\"":"]}","a":null,"b":[]}"#),
        (vec![("*", &null)], r#"{"a":1,"b":[1],"c":null}"#, r#"{"a":null,"b":null,"c":null}"#),
        (
            vec![("*.naam", &null), ("[1].mail", &null)],
            r#"[{"naam":"Jan"},{"mail":"x","naam":[]},7]"#,
            r#"[{"naam":null},{"mail":null,"naam":null},7]"#,
        ),
        (vec![("[\"a.b\"]", &null)], r#"{"a.b":1,"a":{"b":1}}"#, r#"{"a.b":null,"a":{"b":1}}"#),
        (vec![("weg", &null), ("a.b.c", &null), ("b[9]", &null)], r#"{"a":1,"b":[]}"#, r#"{"a":1,"b":[]}"#),
        (vec![("0", &null)], r#"{"0":1}"#, r#"{"0":null}"#),
        (vec![("a", &null)], r#""text""#, r#""text""#),
        (vec![], "[1, 2]", "[1, 2]"),
        (vec![("a", &null)], "  ", "  "),
        (vec![("a", &fixed("x\"\n"))], r#"{"a":{"b":1}}"#, r#"{"a":"x\"\n"}"#),
        (
            vec![("*", &fixed("0"))],
            r#"{"a":12,"b":true,"c":"d","e":-0.0,"f":1e3}"#,
            r#"{"a":0,"b":false,"c":"0","e":-0.0,"f":0}"#,
        ),
        (vec![("ip", &Recipe::Truncate(Truncate::Ip))], r#"{"ip":"10.1.2.3"}"#, r#"{"ip":"10.1.2.0"}"#),
        (vec![("m", &Recipe::Template("{key}@x".into()))], r#"{"m":"ë@x"}"#, r#"{"m":"7-ab01-x@x"}"#),
    ] {
        let members: Vec<_> = members.into_iter().map(|(path, recipe)| (path, recipe.clone())).collect();
        becomes(&json(&members), before, after);
    }
}

#[test]
fn what_is_no_json_or_no_path_is_refused() {
    let recipe = json(&[("a", Recipe::Null)]);
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    for bad in ["{", "{a:1}", r#"{"a":1,}"#, r#"{"a":01}"#, "1 2", "gewone tekst", "{\"a\":\"\n\"}", deep.as_str()] {
        assert!(
            apply(&recipe, &text(bad)) == Err(RecipeFault::NotJson),
            "{}",
            bad.chars().take(20).collect::<String>()
        );
    }
    assert!(apply(&recipe, &Scalar::Bytes(b"{\"a\":\"\xff\"}".to_vec())) == Err(RecipeFault::NotJson));
    assert!(apply(&recipe, &Scalar::Bytes(b"{\"a\":1}".to_vec())) == Ok(Scalar::Bytes(b"{\"a\":null}".to_vec())));
    assert!(apply(&recipe, &typed("jsonb", r#"{"a": 1}"#)) == Ok(typed("jsonb", r#"{"a": null}"#)));
    assert!(apply(&recipe, &Scalar::Int(1)) == Err(RecipeFault::Kind));
    assert!(apply(&json(&[("a..b", Recipe::Null)]), &text("{}")) == Err(RecipeFault::Path));
    assert!(apply(&json(&[("a", Recipe::Marker)]), &text("{}")) == Err(RecipeFault::Kind));
    assert!(apply(&json(&[("a", recipe)]), &text("{}")) == Err(RecipeFault::Kind));
    let year = json(&[("a", Recipe::Truncate(Truncate::Year))]);
    assert!(apply(&year, &text(r#"{"a":{"b":"2020-02-02"}}"#)) == Err(RecipeFault::Kind));
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,6})?)?)?(Z|\\+0[0-2](:00)?)?",
        "([0-9]{1,3}\\.){3}[0-9]{1,3}(/[0-9]{1,3})?",
        "([0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}",
        "[0-9]{4} ?[A-Za-z]{2}",
        "-?[0-9]{0,4}(\\.[0-9]{0,4})?",
        any_json().prop_map(|value| value.to_string()),
        "a:1:\\{s:1:\"[ab]\";(s:1:\"x\"|i:[0-9]|b:[01]|d:0\\.5|N|R:1|a:0:\\{\\});?\\}",
    ]
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "(10\\.0\\.0\\.[0-9]|1234 AB|2020-05-1[0-9]|\\PC*)".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        1 => Just(Scalar::Null),
        1 => any::<i64>().prop_map(Scalar::Int),
        1 => any::<u64>().prop_map(Scalar::from_u64),
        1 => any::<f64>().prop_map(Scalar::from_f64),
        1 => any::<Vec<u8>>().prop_map(Scalar::Bytes),
        6 => any_text().prop_map(Scalar::Text),
        3 => ("(numeric|date|inet|boolean|jsonb|interval|timestamp)", any_text())
            .prop_map(|(ty, text)| Scalar::Typed { ty, text }),
    ]
}

fn any_simple() -> impl Strategy<Value = Recipe> {
    prop_oneof![
        Just(Recipe::Null),
        any_text().prop_map(Recipe::Fixed),
        "[a-z{}]{0,3}(\\{key\\})?[a-z]{0,3}".prop_map(Recipe::Template),
        (0u32..80).prop_map(|length| Recipe::Pseudonym { length }),
        prop_oneof![Just(Truncate::Ip), Just(Truncate::Postcode), Just(Truncate::Month), Just(Truncate::Year)]
            .prop_map(Recipe::Truncate),
    ]
}

fn any_members() -> impl Strategy<Value = BTreeMap<String, Recipe>> {
    prop::collection::btree_map("([abc*]|\\[[0-2*]\\])(\\.[abc*]|\\[[0-2*]\\]){0,2}", any_simple(), 0..3)
}

fn any_recipe() -> impl Strategy<Value = Recipe> {
    prop_oneof![
        3 => any_simple(),
        1 => Just(Recipe::Marker),
        2 => any_members().prop_map(Recipe::Json),
        1 => any_members().prop_map(Recipe::PhpSerialised),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_recipe_applied_twice_is_applied_once(recipe in any_recipe(), value in any_scalar()) {
        if let Ok(once) = apply(&recipe, &value) {
            prop_assert!(apply(&recipe, &once) == Ok(once.clone()), "{}", once.show());
            prop_assert!(is_final(&recipe, &once));
            prop_assert_eq!(is_final(&recipe, &value), once == value);
        }
    }

    #[test]
    fn a_json_document_stays_one_and_loses_only_what_the_paths_name(
        document in any_json(), simple in any_simple(), name in "[abc]",
    ) {
        let recipe = json(&[(&name, simple)]);
        if let Ok(after) = apply(&recipe, &Scalar::Text(document.to_string())) {
            let mut after: serde_json::Value = serde_json::from_str(after.as_text().unwrap()).unwrap();
            // a number's text is what counts, so both are read from text
            let mut before: serde_json::Value = serde_json::from_str(&document.to_string()).unwrap();
            for value in [&mut before, &mut after] {
                if let Some(members) = value.as_object_mut() {
                    members.remove(&name);
                }
            }
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn documents_are_read_as_serde_json_reads_them(bytes in prop_oneof![
        any::<Vec<u8>>(), any_text().prop_map(String::into_bytes), "[\\[\\]{}\",:0-9a\\\\ ]{0,12}".prop_map(String::into_bytes),
    ]) {
        let ours = apply(&json(&[("*", Recipe::Null)]), &Scalar::Bytes(bytes.clone()));
        let theirs = serde_json::from_slice::<serde_json::Value>(&bytes);
        if let Ok(theirs) = theirs {
            let Ok(Scalar::Bytes(after)) = ours else { panic!("a document was refused") };
            let after: serde_json::Value = serde_json::from_slice(&after).unwrap();
            let all_gone = match after {
                serde_json::Value::Object(members) => members.values().all(serde_json::Value::is_null),
                serde_json::Value::Array(elements) => elements.iter().all(serde_json::Value::is_null),
                other => other == theirs,
            };
            prop_assert!(all_gone);
        }
    }
}
