//! Changes of what a parser reads, at random.

use crate::seed::Random;

/// What has a meaning to some parser: it ends a number, a word, a line, a quotation or a text.
const ODD: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\n\n",
    b"\r",
    b"\x1b[",
    b"\xff",
    b"\"",
    b"'",
    b"\\",
    b"```",
    b"~~~",
    b"-->",
    b"<script>",
    b"&",
    b"{{",
    b"}}",
    b"=",
    b",",
    b"/33",
    b"-1",
    b"0",
    b"4294967296",
    b"18446744073709551616",
    "ſ…\u{202e}".as_bytes(),
];

/// One of the seeds, or nothing, with some changes.
pub fn any(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = piece(seeds, random).to_vec();
    for _ in 0..=random.below(6) {
        let from = random.below(input.len() + 1);
        // Short pieces more often than long ones.
        let most = (input.len() - from).min(1 << random.below(10));
        let to = from + random.below(most + 1);
        let new: &[u8] = match random.below(5) {
            0 => b"",
            1 => ODD[random.below(ODD.len())],
            2 => &[random.below(256) as u8],
            3 => &input[from..to].repeat(1 + random.below(4)),
            _ => {
                let other = piece(seeds, random);
                let begin = random.below(other.len() + 1);
                &other[begin..begin + random.below((other.len() - begin).min(500) + 1)]
            }
        };
        let new = new.to_vec();
        input.splice(from..to, new);
    }
    input
}

fn piece<'a>(seeds: &'a [Vec<u8>], random: &mut Random) -> &'a [u8] {
    match seeds.len() {
        0 => b"",
        count => &seeds[random.below(count)],
    }
}
