use std::time::Duration;

use super::*;

fn sample(brake: Brake, value: u64, limit: u64) -> Sample {
    Sample { brake, reading: Reading::Known(value), limit, place: None }
}

fn lag(value: u64) -> Vec<Sample> {
    vec![sample(Brake::ReplicaLag, value, 10_000)]
}

fn on(braked: &Braked) -> Vec<Brake> {
    braked.held().map(|held| held.brake).collect()
}

#[test]
fn a_brake_goes_on_beyond_its_limit_and_not_at_it() {
    let mut braked = Braked::default();
    assert_eq!(braked.take(&lag(10_000)), []);
    assert!(braked.is_free());
    let changes = braked.take(&lag(10_001));
    assert!(matches!(changes.as_slice(), [Change::On(held)] if held.reading == Some(10_001)));
    assert_eq!(braked.take(&lag(12_000)), [], "it is on already");
    assert_eq!(braked.held().next().unwrap().words(), "replica-lag: 12 s, over 10 s");
}

#[test]
fn it_is_released_well_below_and_after_it_stayed_there() {
    let mut braked = Braked::default();
    braked.take(&lag(20_000));
    for wavering in [9_000, 8_000, 8_000, 8_001, 8_000, 0, 10_001, 0, 0] {
        assert_eq!(braked.take(&lag(wavering)), [], "{wavering}");
        assert_eq!(on(&braked), [Brake::ReplicaLag]);
    }
    assert_eq!(braked.take(&lag(8_000)), [Change::Off(Brake::ReplicaLag)]);
    assert!(braked.is_free());
}

#[test]
fn any_brake_holds_and_none_overrules_another() {
    let mut braked = Braked::default();
    let calm = sample(Brake::Running, 0, 50);
    for brake in Brake::ALL {
        let beyond = if brake == Brake::DiskFree { 0 } else { 100 };
        let mut alone = Braked::default();
        alone.take(&[sample(brake, beyond, 50)]);
        assert_eq!(on(&alone), [brake]);
        braked.take(&[sample(brake, beyond, 50)]);
    }
    assert_eq!(on(&braked), Brake::ALL);
    for _ in 0..10 {
        braked.take(std::slice::from_ref(&calm));
    }
    assert_eq!(braked.held().count(), Brake::ALL.len() - 1, "what is not read stays as it is");
}

#[test]
fn of_several_places_any_holds_and_all_must_be_calm() {
    let place = |name: &str, free| Sample { place: Some(name.into()), ..sample(Brake::DiskFree, free, 1_000) };
    let mut braked = Braked::default();
    braked.take(&[place("/a", 5_000), place("/b", 999)]);
    assert_eq!(braked.held().next().unwrap().place.as_deref(), Some("/b"));
    for _ in 0..5 {
        // Between the limit and well beyond it.
        braked.take(&[place("/a", 5_000), place("/b", 1_249)]);
    }
    assert_eq!(on(&braked), [Brake::DiskFree]);
    for _ in 0..3 {
        braked.take(&[place("/a", 5_000), place("/b", 1_250)]);
    }
    assert!(braked.is_free());
}

#[test]
fn what_nobody_may_see_holds_nothing_and_what_was_asked_for_by_name_does() {
    let with = |reading| Sample { brake: Brake::Query, reading, limit: 5, place: None };
    let hidden = Reading::Hidden { text: "x".into(), remedy: "y".into() };
    let mut braked = Braked::default();
    assert_eq!(braked.take(&[with(hidden.clone()), with(Reading::Nothing)]), []);
    braked.take(&[with(Reading::Failed("the statement took too long".into()))]);
    assert_eq!(braked.held().next().unwrap().words(), "query: the statement took too long");
    for _ in 0..3 {
        braked.take(&[with(hidden.clone())]);
    }
    assert!(braked.is_free());
}

#[test]
fn a_limit_of_zero_is_released_at_zero() {
    let mut braked = Braked::default();
    braked.take(&[sample(Brake::Backup, 1, 0)]);
    for _ in 0..3 {
        braked.take(&[sample(Brake::Backup, 0, 0)]);
    }
    assert!(braked.is_free());
}

#[test]
fn the_time_of_day_does_not_waver() {
    let mut braked = Braked::default();
    braked.take(&[sample(Brake::Windows, 1, 0)]);
    assert_eq!(braked.take(&[sample(Brake::Windows, 0, 0)]), [Change::Off(Brake::Windows)]);
}

#[test]
fn windows_go_over_midnight_and_their_end_is_no_part_of_them() {
    let at = |hour: u32, minute: u32| hour * 60 + minute;
    let night = Window::parse("22:00-06:00").unwrap();
    for (minute, is_in) in [(at(21, 59), false), (at(22, 0), true), (0, true), (at(5, 59), true), (at(6, 0), false)] {
        assert_eq!(night.has(minute), is_in, "{minute}");
    }
    let noon = Window::parse(" 12:00 - 13:30 ").unwrap();
    assert!(noon.has(at(12, 0)) && noon.has(at(13, 29)) && !noon.has(at(13, 30)) && !noon.has(at(11, 59)));
    let day = Window::parse("00:00-24:00").unwrap();
    assert!(day.has(0) && day.has(at(23, 59)));
    for none in [
        "",
        "22-6",
        "22:00",
        "22:00-22:00",
        "24:00-06:00",
        "22:60-06:00",
        "2:00-6:00",
        "22:00-06:00-07:00",
        "+1:00-02:00",
    ] {
        assert_eq!(Window::parse(none), None, "{none}");
    }
}

#[test]
fn a_policy_without_windows_is_always_open_and_with_them_knows_when_it_opens() {
    let mut brakes = Brakes::default();
    assert!(brakes.is_open(700) && brakes.opens_in(700) == 0);
    brakes.windows = vec![Window::parse("22:00-06:00").unwrap(), Window::parse("12:00-13:00").unwrap()];
    assert_eq!((brakes.opens_in(11 * 60), brakes.opens_in(13 * 60), brakes.opens_in(23 * 60)), (60, 9 * 60, 0));
}

#[test]
fn the_pace_is_that_of_the_window_and_never_a_brake() {
    let mut brakes = Brakes::default();
    let fast = Window::parse("01:00-05:00").unwrap().at(Some(Pace::Fast));
    brakes.windows = vec![Window::parse("22:00-06:00").unwrap(), fast];
    assert_eq!((brakes.pace_at(0), brakes.pace_at(60), brakes.pace_at(300)), (Pace::Gentle, Pace::Fast, Pace::Gentle));
    let took = Duration::from_millis(40);
    assert_eq!((Pace::Gentle.rest(took), Pace::Fast.rest(took)), (took, Duration::ZERO));
}

#[test]
fn figures_are_said_in_units_that_people_read() {
    let words = |brake, reading: u64, limit| held(&sample(brake, reading, limit)).words();
    assert_eq!(words(Brake::StatementTime, 5_250, 5_000), "statement-time: 5.25 s, over 5 s");
    assert_eq!(words(Brake::DiskFree, 1_610_612_736, 2 << 30), "disk-free: 1.5 GiB are free, under 2 GiB");
    assert_eq!(words(Brake::ReplicaBehind, 3 << 20, 1 << 20), "replica-behind: 3 MiB, over 1 MiB");
    assert_eq!(words(Brake::Load, 450, 400), "load: 450 % of one process a core, over 400 %");
    assert_eq!(words(Brake::Running, 51, 50), "running: 51, over 50");
}
