//! Making values coarser.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::reading::{is_number, is_truth};
use super::{RecipeFault, Truncate};
use crate::domain::value::Scalar;

/// Makes a value coarser; what is coarse already comes back as it is.
pub(super) fn truncate(how: Truncate, value: &Scalar) -> Result<Scalar, RecipeFault> {
    let text = match value {
        Scalar::Text(text) => text,
        Scalar::Typed { ty, text } if !is_number(ty) && !is_truth(ty) => text,
        // The four digits of a postcode in a column of numbers.
        Scalar::Int(1000..=9999) if how == Truncate::Postcode => return Ok(value.clone()),
        _ => return Err(RecipeFault::Kind),
    };
    let coarser = match how {
        Truncate::Ip => ip(text),
        Truncate::Postcode => Some(postcode(text)),
        Truncate::Month => date(text, false)?,
        Truncate::Year => date(text, true)?,
    };
    Ok(match (coarser, value) {
        (None, value) => value.clone(),
        (Some(text), Scalar::Typed { ty, .. }) => Scalar::Typed { ty: ty.clone(), text },
        (Some(text), _) => Scalar::Text(text),
    })
}

/// `None`: it is coarse already, however it is written.
fn ip(text: &str) -> Option<String> {
    let text = text.trim();
    let (address, network) = text.split_at(text.find('/').unwrap_or(text.len()));
    let network_is_plain = network.is_empty()
        || network.strip_prefix('/').is_some_and(|bits| bits.bytes().all(|b| b.is_ascii_digit()) && in_range(bits));
    let Ok(address) = address.parse::<IpAddr>() else { return Some(String::new()) };
    if !network_is_plain {
        return Some(String::new());
    }
    let coarser = match address {
        IpAddr::V4(v4) => IpAddr::V4(v4_net(v4)),
        IpAddr::V6(v6) => IpAddr::V6(v6.to_ipv4_mapped().map_or_else(|| v6_net(v6), |v4| v4_net(v4).to_ipv6_mapped())),
    };
    (coarser != address).then(|| format!("{coarser}{network}"))
}

fn in_range(bits: &str) -> bool {
    bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
}

fn v4_net(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = address.octets();
    Ipv4Addr::new(a, b, c, 0)
}

fn v6_net(address: Ipv6Addr) -> Ipv6Addr {
    let [a, b, c, ..] = address.segments();
    Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)
}

fn postcode(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (digits, letters) = text.split_at_checked(4).unwrap_or((&text, "?"));
    let digits_fit = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let letters_fit = letters.is_empty() || (letters.len() == 2 && letters.bytes().all(|b| b.is_ascii_alphabetic()));
    if digits_fit && letters_fit { digits.to_string() } else { String::new() }
}

/// `None`: it says nothing that would have to go.
fn date(text: &str, whole_year: bool) -> Result<Option<String>, RecipeFault> {
    let text = text.trim();
    if matches!(text, "" | "infinity" | "-infinity") {
        return Ok(None);
    }
    let (day, time) = text.split_at_checked(10).ok_or(RecipeFault::Kind)?;
    let mut parts = day.split('-');
    let (Some(year), Some(month), Some(of_month), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(RecipeFault::Kind);
    };
    let fits = |part: &str, digits: usize, most: u16| {
        part.len() == digits
            && part.bytes().all(|b| b.is_ascii_digit())
            && part.parse::<u16>().is_ok_and(|number| number <= most)
    };
    if !(fits(year, 4, 9999) && fits(month, 2, 12) && fits(of_month, 2, 31)) {
        return Err(RecipeFault::Kind);
    }
    let midnight = midnight(time)?;
    if day == "0000-00-00" {
        return Ok(None);
    }
    let month = if whole_year || month == "00" { "01" } else { month };
    let coarser = format!("{year}-{month}-01{midnight}");
    Ok((coarser != text).then_some(coarser))
}

/// The same shape of a time, with zeros.
fn midnight(time: &str) -> Result<String, RecipeFault> {
    if time.is_empty() {
        return Ok(String::new());
    }
    let clock = time.strip_prefix([' ', 'T']).ok_or(RecipeFault::Kind)?;
    let (clock, offset) = clock.split_at(clock.find(['Z', '+', '-']).unwrap_or(clock.len()));
    let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    let seconds = |part: &str| {
        let (whole, fraction) = part.split_once('.').unwrap_or((part, "0"));
        two(whole) && !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit())
    };
    let mut parts = clock.trim_end().split(':');
    let clock_fits = parts.next().is_some_and(two)
        && parts.next().is_some_and(two)
        && parts.next().is_none_or(seconds)
        && parts.next().is_none();
    let offset_fits = match offset.strip_prefix(['+', '-']) {
        Some(digits) => {
            !digits.is_empty()
                && digits
                    .split(':')
                    .all(|part| two(part) || part.len() == 4 && part.bytes().all(|b| b.is_ascii_digit()))
        }
        None => offset.is_empty() || offset == "Z",
    };
    if !(clock_fits && offset_fits) {
        return Err(RecipeFault::Kind);
    }
    let zeros = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let (sign, _) = time.split_at(1);
    Ok(format!("{sign}{}{offset}", clock.chars().map(zeros).collect::<String>()))
}
