//! EXPOSE: `[[ip:]host:]port[-port][/proto]`, several by one variable.

use serde_json::json;

use super::stage::StageRun;
use crate::codes;
use crate::diagnostic::Problem;
use crate::hir::{Insn, Word};

impl StageRun<'_, '_> {
    pub(super) fn expose(&mut self, insn: &Insn, words: &[Word]) {
        let mut ports = Vec::new();
        for word in words {
            let Some(expanded) = self.expanded(insn, word) else { continue };
            for spec in &expanded.words {
                match parse(spec) {
                    Ok(found) => ports.extend(found),
                    Err(e) => {
                        let problem = Problem::new(codes::PORT, format!("EXPOSE `{spec}`: {e}"))
                            .at(insn.place(word.slot))
                            .help("write a number or a range, such as 80, 53/udp or 8000-8010");
                        self.run.tell(problem);
                    }
                }
            }
        }
        ports.sort();
        ports.dedup();
        let shown: Vec<_> = ports.iter().map(|p| format!("{p}:{{}}")).collect();
        for port in ports {
            self.state.config.exposed_ports.insert(port, json!({}));
        }
        self.commit_empty(format!("EXPOSE map[{}]", shown.join(" ")));
    }
}

fn parse(spec: &str) -> Result<Vec<String>, String> {
    let (rest, proto) = spec.split_once('/').unwrap_or((spec, "tcp"));
    let proto = proto.to_ascii_lowercase();
    if !["tcp", "udp", "sctp"].contains(&proto.as_str()) {
        return Err(format!("invalid proto: {proto}"));
    }
    // An address and a port of the host have no meaning in an image.
    let container = rest.rsplit(':').next().unwrap_or(rest);
    let number = |text: &str| text.parse::<u16>().map_err(|_| format!("invalid containerPort: {container}"));
    let (first, last) = match container.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(container)?, number(container)?),
    };
    if last < first {
        return Err(format!("the range {container} ends before it begins"));
    }
    Ok((first..=last).map(|port| format!("{port}/{proto}")).collect())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn ports() {
        assert_eq!(parse("80").unwrap(), ["80/tcp"]);
        assert_eq!(parse("9000-9001/UDP").unwrap(), ["9000/udp", "9001/udp"]);
        assert_eq!(parse("127.0.0.1:80:8080").unwrap(), ["8080/tcp"]);
        for bad in ["eighty", "80/icmp", "9-8", "65536", "", "-", "1-2-3"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
