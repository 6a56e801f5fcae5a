//! How the report writes numbers: sensible digits, thousands separators, units, true minus signs.

/// What stands where nothing was measured.
pub const MISSING: &str = "–";

/// What stands where a number is infinite or not a number.
const NOT_FINITE: &str = "not finite";

/// Fixed decimals, `,` between thousands: `-1234.5` with one decimal is `−1,234.5`.
pub fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NOT_FINITE.into();
    }
    let digits = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits.as_str(), None),
    };
    // A value that rounds to zero has no sign.
    let negative = value < 0.0 && digits.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    let mut text = String::from(if negative { "−" } else { "" });
    text.push_str(&separated(whole));
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// Fixed decimals with a sign: `+1.92`, `−0.40`, and `0.00` for what rounds to zero.
pub fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    let positive =
        value > 0.0 && value.is_finite() && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    if positive { format!("+{text}") } else { text }
}

/// The interval of a difference: `0.81 to 3.03`; with signs where it reaches below zero.
pub fn interval([low, high]: [f64; 2], decimals: usize) -> String {
    let write = if low < 0.0 { signed } else { fixed };
    format!("{} to {}", write(low, decimals), write(high, decimals))
}

/// Such as `75.31 %`.
pub fn percent(value: f64, decimals: usize) -> String {
    with_unit(fixed(value, decimals), value, "%")
}

/// Three significant digits: `11.2`, `0.412`, `1,340`.
pub fn significant(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return fixed(value, 0);
    }
    // The power of ten after rounding: 0.9999 is 1.00.
    let rounded = format!("{value:.2e}");
    let power = rounded
        .split_once('e')
        .and_then(|(_, power)| power.parse().ok());
    // Not fewer decimals than zero, not more than a reader can use.
    let decimals = (2 - power.unwrap_or(0_i32)).clamp(0, 9) as usize;
    fixed(value, decimals)
}

/// A whole number: `60,000`.
pub fn count(value: u64) -> String {
    separated(&value.to_string())
}

/// A big number in short: `272 k`, `85.8 M`, `4.10 G`; below 10,000 as it is.
pub fn short(value: u64) -> String {
    if value < 10_000 {
        return count(value);
    }
    scaled(value as f64, &["", "k", "M", "G", "T"])
}

/// A file's size in decimal units: `1.12 MB`.
pub fn bytes(value: u64) -> String {
    scaled(value as f64, &["B", "kB", "MB", "GB", "TB"])
}

/// A time for one image: `1.23 ms`.
pub fn milliseconds(value: f64) -> String {
    with_unit(significant(value), value, "ms")
}

/// A time that people wait: `48 s`, `12 min 4 s`, `2 h 13 min`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return MISSING.into();
    }
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{} h {minutes} min", count(hours)),
    }
}

/// The plural of a regular noun unless there is exactly one: `1 seed`, `3 seeds`.
pub fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number as u64))
}

/// A number with its unit, if it is one.
pub fn with_unit(text: String, value: f64, unit: &str) -> String {
    if value.is_finite() {
        format!("{text}\u{a0}{unit}")
    } else {
        text
    }
}

fn scaled(mut value: f64, units: &[&str]) -> String {
    let mut unit = 0;
    // 999.5 is where three digits round up to four.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let number = if unit == 0 {
        fixed(value, 0)
    } else {
        significant(value)
    };
    format!("{number}\u{a0}{}", units.get(unit).unwrap_or(&""))
        .trim_end()
        .into()
}

fn separated(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated_and_the_minus_is_a_minus() {
        assert_eq!(count(0), "0");
        assert_eq!(count(60_000), "60,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(fixed(-1234.56, 1), "−1,234.6");
        assert_eq!(fixed(999.0, 2), "999.00");
    }

    #[test]
    fn what_rounds_to_zero_has_no_sign() {
        assert_eq!(signed(-0.001, 2), "0.00");
        assert_eq!(signed(0.001, 2), "0.00");
        assert_eq!(signed(1.92, 2), "+1.92");
        assert_eq!(signed(-1.92, 2), "−1.92");
        assert_eq!(interval([0.81, 3.03], 2), "0.81 to 3.03");
        assert_eq!(interval([-0.62, 1.4], 2), "−0.62 to +1.40");
    }

    #[test]
    fn three_digits_are_kept_over_the_whole_range() {
        assert_eq!(significant(11.234), "11.2");
        assert_eq!(significant(0.41236), "0.412");
        assert_eq!(significant(1340.4), "1,340");
        assert_eq!(significant(0.99999), "1.00");
        assert_eq!(significant(0.0), "0");
    }

    #[test]
    fn units_follow_the_size() {
        assert_eq!(short(9_999), "9,999");
        assert_eq!(short(272_474), "272\u{a0}k");
        assert_eq!(short(85_798_656), "85.8\u{a0}M");
        assert_eq!(short(999_999), "1.00\u{a0}M");
        assert_eq!(bytes(812), "812\u{a0}B");
        assert_eq!(bytes(1_120_000), "1.12\u{a0}MB");
        assert_eq!(milliseconds(1.2345), "1.23\u{a0}ms");
        assert_eq!(duration(0.84), "0.8 s");
        assert_eq!(duration(724.2), "12 min 4 s");
        assert_eq!(duration(7980.0), "2 h 13 min");
    }

    #[test]
    fn what_is_not_finite_is_said_in_words() {
        assert_eq!(fixed(f64::NAN, 2), "not finite");
        assert_eq!(percent(f64::INFINITY, 2), "not finite");
        assert_eq!(signed(f64::NAN, 2), "not finite");
        assert_eq!(significant(f64::NEG_INFINITY), "not finite");
        assert_eq!(duration(f64::NAN), MISSING);
    }
}
