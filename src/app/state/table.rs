//! The predictions of the photos in the browser as a table.

use std::path::{Path, PathBuf, absolute};

use crate::app::state::State;
use crate::explain::analysis::rank;
use crate::labels::ClassId;
use crate::worker::PhotoSource;

/// Number of classes in the table, the most probable first.
const TOP: usize = 5;

impl State {
    /// The predictions as CSV (RFC 4180), in the browser's order: the file (relative to the common
    /// folder of all photos, whose path is not revealed), its size, the five most probable classes,
    /// the probability of the explained class, how logits became probabilities, and errors. Photos that are not classified yet have
    /// empty columns.
    ///
    /// # Errors
    /// If a row can't be written.
    pub fn table(&self) -> Result<Vec<u8>, csv::Error> {
        let Some(model) = &self.model else {
            return Ok(Vec::new());
        };
        let labels = &model.info.labels;
        let explained = self
            .explained()
            .filter(|class| class.index() < labels.len());
        let mut table = csv::Writer::from_writer(Vec::new());
        let mut header: Vec<String> = ["file", "width", "height"].map(String::from).into();
        for place in 1..=TOP {
            let columns = ["index", "class", "probability"];
            header.extend(columns.map(|column| format!("top{place}_{column}")));
        }
        header.push(match explained {
            Some(class) => format!("probability of {}", labels.name(class)),
            None => "probability of the explained class".into(),
        });
        header.extend(["scores", "error"].map(String::from));
        let columns = header.len();
        let folder = self.shared_folder();
        table.write_record(&header)?;
        for &index in &self.arrangement.order {
            let item = &self.photos[index];
            let mut row = vec![match &item.source {
                PhotoSource::File(path) => below(path, folder.as_deref()),
                source => source.name(),
            }];
            match self.batch.get(item.id) {
                Some(Ok(found)) => {
                    row.extend([found.size.0.to_string(), found.size.1.to_string()]);
                    let ranking = rank(&found.logits);
                    for place in 0..TOP {
                        let class = ranking.get(place).copied();
                        let cell =
                            |text: &dyn Fn(ClassId) -> String| class.map(text).unwrap_or_default();
                        row.push(cell(&|class| class.to_string()));
                        row.push(cell(&|class| labels.full(class).to_owned()));
                        row.push(cell(&|class| found.probability(class).to_string()));
                    }
                    let wanted = explained.map(|class| found.probability(class).to_string());
                    row.push(wanted.unwrap_or_default());
                    row.push(found.scores.id().to_owned());
                }
                Some(Err(message)) => {
                    row.resize(columns - 1, String::new());
                    row.push(message.clone());
                }
                None => {}
            }
            row.resize(columns, String::new());
            table.write_record(&row)?;
        }
        table
            .into_inner()
            .map_err(|error| error.into_error().into())
    }

    /// The common folder of all photos from files.
    fn shared_folder(&self) -> Option<PathBuf> {
        let files = self.photos.iter().filter_map(|item| match &item.source {
            PhotoSource::File(path) => absolute(path).ok()?.parent().map(Path::to_owned),
            _ => None,
        });
        files.reduce(|shared, folder| {
            let both = shared.components().zip(folder.components());
            both.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
        })
    }
}

/// The path of a file relative to a folder, or only its name if it is not in the folder.
fn below(file: &Path, folder: Option<&Path>) -> String {
    let below = absolute(file).ok();
    let below = below
        .as_deref()
        .zip(folder)
        .and_then(|(file, folder)| file.strip_prefix(folder).ok());
    match below {
        Some(below) => below.display().to_string(),
        None => crate::input::photo::display_name(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_below_the_folder_that_all_are_in() {
        for (photos, named) in [
            (
                vec!["/ward/Doe/1.png", "/ward/Doe/2.png"],
                vec!["1.png", "2.png"],
            ),
            (
                vec!["/ward/Doe/1.png", "/ward/Roe/1.png", "/ward/2.png"],
                vec!["Doe/1.png", "Roe/1.png", "2.png"],
            ),
            (vec!["/ward/Doe/1.png"], vec!["1.png"]),
            (vec!["/a/1.png", "/b/1.png"], vec!["a/1.png", "b/1.png"]),
        ] {
            let mut state = State::default();
            let sources = photos.iter().map(|photo| PhotoSource::File(photo.into()));
            state.open(sources.collect());
            let folder = state.shared_folder();
            let found = photos.iter();
            let found = found.map(|photo| below(photo.as_ref(), folder.as_deref()));
            assert_eq!(found.collect::<Vec<_>>(), named);
        }
    }
}
