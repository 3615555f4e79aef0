//! Suggestions for misspelt names.

/// Returns `, did you mean …?` with the candidate closest to `text`, or an empty string if none is close.
pub fn nearest<T: AsRef<str>>(text: &str, candidates: impl IntoIterator<Item = T>) -> String {
    let near = candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(candidate.as_ref(), text);
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= 1 + candidate.as_ref().chars().count() / 4)
        .min_by_key(|(distance, _)| *distance);
    near.map_or_else(String::new, |(_, candidate)| {
        format!(", did you mean `{}`?", candidate.as_ref())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_names_are_suggested() {
        let known = ["shop/web", "shop/database"];
        assert_eq!(nearest("shop/wbe", known), ", did you mean `shop/web`?");
        assert_eq!(nearest("payments/api", known), "");
    }
}
