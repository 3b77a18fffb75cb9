//! The words of a filter expression.

/// One word. Texts keep their backslashes but those before a quote: what they mean is `LIKE`'s business.
#[derive(Clone, PartialEq, Debug)]
pub enum Token {
    Number(f64),
    Text(String),
    Name(String),
    Like,
    Contains,
    Symbol(&'static str),
}

/// Longer ones first.
const SYMBOLS: [&str; 20] =
    ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", "."];

/// All words of a text, or what is wrong with it.
pub fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '\'' | '"' => quoted(rest, first)?,
            '0'..='9' => number(rest)?,
            'a'..='z' | 'A'..='Z' | '_' | '$' | '@' => name(rest),
            _ => symbol(rest)?,
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn quoted(text: &str, quote: char) -> Result<(Token, usize), String> {
    let mut found = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, next)) if next == '\'' || next == '"' => found.push(next),
                Some((_, next)) => found.extend(['\\', next]),
                None => break,
            },
            c if c == quote => return Ok((Token::Text(found), at + 1)),
            c => found.push(c),
        }
    }
    Err("a text without its closing quote".into())
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(text);
    if text[length..].starts_with('.') && text[length + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        length += 1 + digits(&text[length + 1..]);
    }
    if text[length..].starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.') {
        let word = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).next().unwrap_or(text);
        return Err(format!("`{word}` is no number"));
    }
    let number = text[..length].parse().map_err(|_| "a number out of range".to_owned())?;
    Ok((Token::Number(number), length))
}

fn name(text: &str) -> (Token, usize) {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '@');
    let length = text.find(|c| !part(c)).unwrap_or(text.len());
    let name = &text[..length];
    let token = if name.eq_ignore_ascii_case("like") {
        Token::Like
    } else if name.eq_ignore_ascii_case("contains") {
        Token::Contains
    } else {
        Token::Name(name.to_owned())
    };
    (token, length)
}

fn symbol(text: &str) -> Result<(Token, usize), String> {
    let found = SYMBOLS.into_iter().find(|symbol| text.starts_with(symbol));
    match found {
        Some(symbol) => Ok((Token::Symbol(symbol), symbol.len())),
        None => Err(format!("`{}` has no meaning here", text.chars().next().unwrap_or(' '))),
    }
}
