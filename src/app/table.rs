//! The predictions of the photos in the browser as a table.

use super::state::State;
use crate::analysis::rank;
use crate::labels::ClassId;
use crate::worker::PhotoSource;

/// Classes in the table, the most probable first.
const TOP: usize = 5;

impl State {
    /// The predictions as CSV (RFC 4180), in the browser's order: file, size, the five most
    /// probable classes, the probability of the explained class, and what went wrong.
    /// Photos that were not classified yet have no numbers.
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
        header.push("error".into());
        let columns = header.len();
        table.write_record(&header)?;
        for &index in &self.arrangement.order {
            let item = &self.photos[index];
            let mut row = vec![match &item.source {
                PhotoSource::File(path) => path.display().to_string(),
                source => source.name(),
            }];
            match self.survey.get(item.id) {
                Some(Ok(found)) => {
                    row.extend([found.size.0.to_string(), found.size.1.to_string()]);
                    let ranking = rank(&found.probabilities);
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
}
