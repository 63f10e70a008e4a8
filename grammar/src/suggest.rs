//! "Did you mean": the nearest of a few known names.
//!
//! Distance is optimal string alignment (Levenshtein plus the swap of two
//! neighbours, the commonest typing mistake), over characters, without regard
//! to ASCII case.

/// Returns the candidate that `name` most likely misspells, if one is near.
///
/// Near means at most one edit in three characters (one for the shortest
/// names), which keeps `ADD` from being offered for every word of three
/// letters. The first of several equally near candidates wins.
pub fn suggest<'c, S>(name: &str, candidates: &'c [S]) -> Option<&'c str>
where
    S: AsRef<str>,
{
    let name: Vec<char> = fold(name);
    let limit = (name.len() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let candidate = candidate.as_ref();
        let letters = fold(candidate);
        // The difference in length is a lower bound of the distance; this also
        // keeps a very long name from costing anything.
        if letters.len().abs_diff(name.len()) > limit {
            continue;
        }
        let distance = distance(&name, &letters);
        // A name of which nothing is left is no misspelling.
        if distance <= limit && distance < letters.len() && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn fold(text: &str) -> Vec<char> {
    text.chars().map(|c| c.to_ascii_lowercase()).collect()
}

/// Three rows of the usual table: the swap looks two rows back.
#[allow(clippy::indexing_slicing, reason = "rows have one cell more than `b`, and `j` runs over `b`")]
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, &y) in b.iter().enumerate() {
            let mut cost = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::suggest;

    const NAMES: &[&str] = &["FROM", "RUN", "COPY", "ADD", "ENTRYPOINT", "EXPOSE"];

    #[test]
    fn finds_swaps_losses_and_additions() {
        assert_eq!(suggest("FORM", NAMES), Some("FROM"));
        assert_eq!(suggest("rnu", NAMES), Some("RUN"));
        assert_eq!(suggest("COPPY", NAMES), Some("COPY"));
        assert_eq!(suggest("ENTRYPIONT", NAMES), Some("ENTRYPOINT"));
        assert_eq!(suggest("expse", NAMES), Some("EXPOSE"));
    }

    #[test]
    fn offers_nothing_far_away() {
        assert_eq!(suggest("INSTALL", NAMES), None);
        assert_eq!(suggest("", NAMES), None);
        assert_eq!(suggest("x", &["y"]), None);
        assert_eq!(suggest(&"FROM".repeat(10_000), NAMES), None);
    }

    #[test]
    fn the_nearest_wins() {
        assert_eq!(suggest("buidler", &["builders", "builder"]), Some("builder"));
    }
}
