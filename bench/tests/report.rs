//! The report page in a real browser.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::process::Command;

/// Names of the browser in different distributions.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Opens a page in a headless browser, and returns its output.
fn browse(page: &Path, arguments: &[String]) -> String {
    let home = tempfile::tempdir().unwrap();
    for browser in BROWSERS {
        let output = Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            .arg(format!("--user-data-dir={}", home.path().display()))
            .args(arguments)
            .arg(format!("file://{}", page.display()))
            .output();
        if let Ok(output) = output {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{browser}: {error}");
            return String::from_utf8(output.stdout).unwrap();
        }
    }
    panic!("no browser; one of {BROWSERS:?} is needed, `make setup` installs one");
}

/// Number of pixels with each of these colours.
fn pixels(picture: &Path, colours: &[[u8; 3]]) -> Vec<usize> {
    let decoder = png::Decoder::new(BufReader::new(File::open(picture).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut bytes).unwrap();
    let samples = frame.color_type.samples();
    let count = |colour: &[u8; 3]| {
        let pixels = bytes[..frame.buffer_size()].chunks_exact(samples);
        pixels.filter(|pixel| pixel[..3] == *colour).count()
    };
    colours.iter().map(count).collect()
}

#[test]
fn browser_shows_figures_tables_and_goals() {
    let folder = tempfile::tempdir().unwrap();
    let record = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.json");
    fs::copy(record, folder.path().join("program.json")).unwrap();
    let report = Command::new(env!("CARGO_BIN_EXE_bailey-bench"))
        .args(["report", "--folder"])
        .arg(folder.path())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&report.stderr);
    assert!(report.status.success(), "{error}");
    let page = folder.path().join("report.html");

    let html = fs::read_to_string(&page).unwrap();
    let dom = browse(&page, &["--dump-dom".into()]);
    let figures = |text: &str| text.matches("<figure>").count();
    assert!(figures(&html) >= 10, "{} figures", figures(&html));
    assert_eq!(figures(&dom), figures(&html));
    assert_eq!(dom.matches("<svg").count(), figures(&html));
    assert!(dom.contains("<h2>Goals</h2>"));
    assert!(
        !html.contains("src=") && !html.contains("href="),
        "the page has external resources"
    );

    let picture = folder.path().join("page.png");
    let arguments = [
        format!("--screenshot={}", picture.display()),
        "--window-size=1000,4000".into(),
    ];
    browse(&page, &arguments);
    // Colours of Bailey, the baseline and xdp-filter. Bars have many pixels, lines have few.
    let counts = pixels(&picture, &[[0, 114, 178], [213, 94, 0], [0, 158, 115]]);
    assert!(counts.iter().all(|&pixels| pixels > 1000), "{counts:?}");
}
