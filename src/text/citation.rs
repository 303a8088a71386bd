/// The first citation in a text: what is before it, the numbers that it names, what is behind it. Models write `[2]`,
/// `[1, 2]`, `[1; 2]`, `[1-3]`, `【2】` and `【2†source】`. Letters of code look like some of these: a range counts where
/// all of it is among the `given` passages. `[1](url)` is a link.
pub fn next_citation(text: &str, given: usize) -> Option<(&str, Vec<u32>, &str)> {
    text.match_indices(['[', '【']).find_map(|(open, mark)| {
        let inside = &text[open + mark.len()..];
        // Numbers are short: a longer search would make a text full of brackets slow.
        let window = &inside[..inside.floor_char_boundary(64)];
        let (named, after) = if mark == "[" {
            let (named, _) = window.split_once(']')?;
            (named, &inside[named.len() + 1..])
        } else {
            let (named, _) = window.split_once('】')?;
            (named.split('†').next().unwrap_or_default(), &inside[named.len() + '】'.len_utf8()..])
        };
        let numbers = numbers(named, given).filter(|_| !after.starts_with('('))?;
        Some((&text[..open], numbers, after))
    })
}

fn numbers(named: &str, given: usize) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in named.split([',', ';']) {
        match part.split_once(['-', '–']) {
            None => numbers.push(number(part)?),
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                let all_given = 1 <= first && first < last && last as usize <= given;
                numbers.extend(Some(first..=last).filter(|_| all_given)?);
            }
        }
    }
    Some(numbers)
}

fn number(digits: &str) -> Option<u32> {
    let digits = digits.trim();
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_citing_that_models_have_is_known() {
        for (text, expected) in [
            ("a [2] b", Some(("a ", vec![2], " b"))),
            ("[1, 3][2]", Some(("", vec![1, 3], "[2]"))),
            ("[x] [1;2 ; 9]", Some(("[x] ", vec![1, 2, 9], ""))),
            ("as [1-3].", Some(("as ", vec![1, 2, 3], "."))),
            ("as [2–3, 1]", Some(("as ", vec![2, 3, 1], ""))),
            ("漢【2】字", Some(("漢", vec![2], "字"))),
            ("【1†source】", Some(("", vec![1], ""))),
            ("【4:0†a-b】", None),
            ("[0-9], [1-9], [3-1] and [a-z]", None),
            ("[12345], [], [1-], [-1], [ ], [1](http://a)", None),
            ("[[1]]", Some(("[", vec![1], "]"))),
            ("[1", None),
        ] {
            assert_eq!(next_citation(text, 3), expected, "{text}");
        }
    }
}
