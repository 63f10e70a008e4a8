//! `/etc/subuid` and `/etc/subgid` (subuid(5)): `user:first:count` a line.

use nix::unistd::{Uid, User};

/// The ranges `(first, count)` that `file` gives the user; why there are none.
pub(super) fn ranges(file: &str, uid: u32) -> Result<Vec<(u32, u32)>, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("read {file}: {e}"))?;
    let name = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
    let found = parse(&text, uid, name.as_deref());
    if found.is_empty() {
        let who = name.unwrap_or_else(|| format!("user id {uid}"));
        return Err(format!("no range for {who} in {file}"));
    }
    Ok(found)
}

/// Lines that are not understood are passed over, as `newuidmap` does.
fn parse(text: &str, uid: u32, name: Option<&str>) -> Vec<(u32, u32)> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let is_ours = Some(owner) == name || owner.parse() == Ok(uid);
            let first = fields.next()?.parse().ok()?;
            let count = fields.next()?.parse().ok()?;
            (is_ours && fields.next().is_none() && count > 0).then_some((first, count))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_user_by_name_or_number() {
        let text = "ann:100000:65536\nbob:200000:65536\n1000:300000:10\nann:1:0\nann:x:1\n\n";
        assert_eq!(parse(text, 1000, Some("ann")), [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(parse(text, 7, Some("carl")), []);
        assert_eq!(parse(text, 1000, None), [(300_000, 10)]);
    }
}
