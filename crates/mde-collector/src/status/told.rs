//! Moments, ages and sizes as a person is told them.

/// A moment for a person: to the second, without the letters.
#[must_use]
pub fn clock(moment: &str) -> String {
    match (moment.get(..10), moment.get(11..19)) {
        (Some(date), Some(time)) => format!("{date} {time}"),
        _ => moment.to_owned(),
    }
}

/// An age in its largest unit, and the next one where that says more.
#[must_use]
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Octets in the largest unit of which there is at least one.
#[must_use]
pub fn size(octets: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let Some(power) = (1..=units.len()).rev().find(|power| octets >> (10 * power) > 0) else {
        return format!("{octets} B");
    };
    // Tenths, without a float.
    let tenths = (u128::from(octets) * 10) >> (10 * power);
    format!("{}.{} {}", tenths / 10, tenths % 10, units[power - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_are_told_in_two_units_at_most() {
        let ages = [0, 59, 60, 3_599, 3_600, 86_400, 90_061].map(age);
        assert_eq!(ages, ["0s", "59s", "1m00s", "59m59s", "1h00m", "1d00h", "1d01h"]);
        let sizes = [0, 1_023, 1_024, 1_536, 734_003, 4 << 30, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "716.7 KiB", "4.0 GiB", "16777215.9 TiB"]);
    }
}
