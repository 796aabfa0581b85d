//! Whole numbers, however a program writes them: `60`, `60.0`, `6E+1`, in quotes or not.
//!
//! No number passes through a float here, so that each of its digits counts.

/// A greater exponent belongs to no count and no duration; expanding it would let a short text grow without bound.
const MAX_EXPONENT: i32 = 30;

/// No number that is read here needs more.
const MAX_CHARS: usize = 64;

/// Reads a number that has no fraction, or one of zeros alone.
pub fn whole<T: TryFrom<i128>>(text: &str) -> Option<T> {
    if let Some(plain) = plain(text) {
        return T::try_from(i128::from(plain)).ok();
    }
    let scaled = Decimal::parse(text)?.times_ten_to_the(0)?;
    scaled.is_exact.then(|| T::try_from(scaled.whole).ok())?
}

/// Reads a number that is not negative as its thousandths: seconds as milliseconds. What is finer is cut off.
pub fn thousandths(text: &str) -> Option<u64> {
    if let Some(plain) = plain(text) {
        return plain.checked_mul(1000);
    }
    u64::try_from(Decimal::parse(text)?.times_ten_to_the(3)?.whole).ok()
}

/// Nearly every number is written by its digits alone.
fn plain(text: &str) -> Option<u64> {
    let short = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    short.then(|| text.parse().ok())?
}

/// Digits, and the power of ten that they count.
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i32,
}

struct Scaled {
    whole: i128,
    is_exact: bool,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let exponent = exponent.parse().ok().filter(|exponent: &i32| exponent.abs() <= MAX_EXPONENT)?;
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if are_digits(fraction) => (whole, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        if text.len() > MAX_CHARS || !are_digits(whole) {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        let exponent = exponent - i32::try_from(fraction.len()).ok()?;
        Some(Self { is_negative: text.starts_with('-'), digits, exponent })
    }

    fn times_ten_to_the(&self, power: i32) -> Option<Scaled> {
        let places = self.exponent + power;
        let zeros = "0".repeat(usize::try_from(places).unwrap_or(0));
        let cut = usize::try_from(-places).unwrap_or(0).min(self.digits.len());
        let (kept, rest) = self.digits.split_at(self.digits.len() - cut);
        let magnitude: i128 = format!("0{kept}{zeros}").parse().ok()?;
        let whole = if self.is_negative { -magnitude } else { magnitude };
        Some(Scaled { whole, is_exact: rest.bytes().all(|digit| digit == b'0') })
    }
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        for (text, read) in [
            ("60", Some(60)),
            (" 60 ", Some(60)),
            ("60.0", Some(60)),
            ("6E+1", Some(60)),
            ("600e-1", Some(60)),
            ("1.2E+1", Some(12)),
            ("-240.00", Some(-240)),
            ("+60", Some(60)),
            ("0.0", Some(0)),
            ("0e30", Some(0)),
            ("0060", Some(60)),
            ("60.5", None),
            ("6e-1", None),
            ("1e31", None),
            ("1e30", None),
            (".5", None),
            ("5.", None),
            ("5.e1", None),
            ("e1", None),
            ("1e", None),
            ("--1", None),
            ("west", None),
            ("", None),
        ] {
            assert_eq!(whole::<i64>(text), read, "{text}");
        }
        assert_eq!(whole::<u32>("-1"), None);
        assert_eq!(whole::<u64>("18446744073709551615.0"), Some(u64::MAX));
        assert_eq!(whole::<u64>("18446744073709551616"), None);
        assert_eq!(whole::<i64>(&format!("1.{}", "0".repeat(70))), None);
    }

    #[test]
    fn thousandths_are_cut_and_never_rounded() {
        for (text, read) in [
            ("0", Some(0)),
            (" 8 ", Some(8000)),
            ("8.5", Some(8500)),
            ("8.0019", Some(8001)),
            ("7.0", Some(7000)),
            ("1.2E+1", Some(12_000)),
            ("1e-3", Some(1)),
            ("1e-9", Some(0)),
            ("18446744073709551615", None),
            ("-1", None),
            (".5", None),
            ("5.", None),
            ("", None),
        ] {
            assert_eq!(thousandths(text), read, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic_and_no_spelling_changes_a_number(text in "[0-9.eE+-]{0,70}", number: i32) {
            thousandths(&text);
            whole::<i64>(&text);
            for spelling in [format!("{number}.000"), format!("{number}00E-2"), format!("{number}e0")] {
                prop_assert_eq!(whole::<i32>(&spelling), Some(number));
            }
        }
    }
}
