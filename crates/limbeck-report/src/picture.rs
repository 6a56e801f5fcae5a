//! Pictures inside a page.

/// Whether a text can stand for a file inside a `data:` address.
pub fn is_base64(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    !text.is_empty() && text.bytes().all(letter)
}

/// Images up to this height and width are shown with their pixels sharp.
const SMALL: usize = 96;

/// Whether images of `shape`, channels, height and width, are shown with their pixels sharp.
pub fn is_sharp([_, height, width]: [usize; 3]) -> bool {
    height.max(width) <= SMALL
}
