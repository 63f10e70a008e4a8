//! `key=value,key=value`, the way docker's CLI reads it: one record in Go's
//! `encoding/csv` format, whose fields are `key=value`.

/// Splits a record into fields. A field in double quotes may hold commas,
/// and `""` stands for a quote inside it.
pub(crate) fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (field, after) = quoted_field(quoted).ok_or_else(|| format!("`{text}`: a quote is not closed"))?;
            fields.push(field);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None if after.is_empty() => return Ok(fields),
                None => return Err(format!("`{text}`: want a comma after the closing quote")),
            }
        } else {
            match rest.split_once(',') {
                Some((field, next)) => {
                    fields.push(field.to_owned());
                    rest = next;
                }
                None => {
                    fields.push(rest.to_owned());
                    return Ok(fields);
                }
            }
        }
    }
}

/// Reads up to the closing quote; returns the field and what follows.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Some((field, after)),
        }
    }
}

/// Splits a record into keys in lower case and values.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    fields(text)?
        .into_iter()
        .map(|field| match field.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_ascii_lowercase(), value.to_owned())),
            None => Err(format!("`{field}` is not of the form key=value")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_protect_commas() {
        assert_eq!(fields("a,b=c").unwrap(), ["a", "b=c"]);
        assert_eq!(fields(r#"type=oci,"dest=a,""b"".tar""#).unwrap(), ["type=oci", r#"dest=a,"b".tar"#]);
        assert_eq!(fields("").unwrap(), [""]);
        assert!(fields(r#""open"#).unwrap_err().contains("not closed"));
        assert!(fields(r#""a"b"#).is_err());
    }

    #[test]
    fn keys_are_folded_values_are_not() {
        assert_eq!(
            pairs("ID=Tok,src=A=b").unwrap(),
            [("id".to_owned(), "Tok".to_owned()), ("src".to_owned(), "A=b".to_owned())]
        );
        assert!(pairs("id").unwrap_err().contains("`id`"));
    }
}
