//! The live table of `penfold top`.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row as TableRow, Table, TableState};
use ratatui::{DefaultTerminal, Frame};

use super::rows::{self, SortKey, UsageRow, UsageSampler};
use crate::failure::Failure;

struct Screen {
    rows: Vec<UsageRow>,
    order: SortKey,
    reverse: bool,
    table: TableState,
}

/// Shows the table until a key ends it.
pub(super) fn show(
    sampler: &mut UsageSampler,
    order: SortKey,
    reverse: bool,
    interval: Duration,
) -> Result<(), Failure> {
    let rows = sampler.rows()?;
    let table = TableState::default().with_selected(0);
    let mut screen = Screen { rows, order, reverse, table };
    let mut terminal = ratatui::try_init().map_err(of_terminal)?;
    let outcome = screen.live(&mut terminal, sampler, interval);
    ratatui::restore();
    outcome
}

fn of_terminal(error: std::io::Error) -> Failure {
    Failure::io("terminal", error)
}

impl Screen {
    fn live(
        &mut self,
        terminal: &mut DefaultTerminal,
        sampler: &mut UsageSampler,
        interval: Duration,
    ) -> Result<(), Failure> {
        // rates need two samples: the second is taken soon
        let mut next = Instant::now() + interval.min(Duration::from_millis(300));
        loop {
            rows::sort(&mut self.rows, self.order, self.reverse);
            terminal.draw(|frame| self.draw(frame)).map_err(of_terminal)?;
            if event::poll(next.saturating_duration_since(Instant::now())).map_err(of_terminal)? {
                if let Event::Key(key) = event::read().map_err(of_terminal)?
                    && key.kind != KeyEventKind::Release
                    && self.key(key)
                {
                    return Ok(());
                }
            } else {
                self.rows = sampler.rows()?;
                next = Instant::now() + interval;
            }
        }
    }

    /// Handles a key. True for a key that ends the program.
    fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return true,
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('t') => self.order = SortKey::Tasks,
            KeyCode::Char('c') => self.order = SortKey::Cpu,
            KeyCode::Char('l') => self.order = SortKey::Limit,
            KeyCode::Char('p') => self.order = SortKey::Path,
            KeyCode::Char('r') => self.reverse = !self.reverse,
            KeyCode::Down | KeyCode::Char('j') => self.table.select_next(),
            KeyCode::Up | KeyCode::Char('k') => self.table.select_previous(),
            KeyCode::PageDown => self.table.scroll_down_by(20),
            KeyCode::PageUp => self.table.scroll_up_by(20),
            KeyCode::Home => self.table.select_first(),
            KeyCode::End => self.table.select_last(),
            _ => {}
        }
        false
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(frame.area());
        frame.render_widget(Line::from(self.summary()).bold(), head);
        let heads = [
            ("TASKS", Some(SortKey::Tasks)),
            ("PROCS", None),
            ("CPU%", Some(SortKey::Cpu)),
            ("CPU TIME", None),
            ("STATE", None),
            ("LIMIT", Some(SortKey::Limit)),
            ("REFUSED", None),
            ("CGROUP", Some(SortKey::Path)),
        ];
        let widths = [7, 7, 7, 10, 6, 26, 8].map(Constraint::Length).into_iter().chain([Constraint::Min(10)]);
        let header = heads.map(|(name, order)| {
            let cell = Cell::from(name);
            if order == Some(self.order) { cell.reversed() } else { cell.bold() }
        });
        let lines = self.rows.iter().map(|row| {
            let style = match row.limit_percent {
                Some(percent) if percent >= 100.0 => Style::new().red(),
                Some(percent) if percent >= 80.0 => Style::new().yellow(),
                _ => Style::new(),
            };
            TableRow::new(row.cells()).style(style)
        });
        let table = Table::new(lines, widths)
            .header(TableRow::new(header))
            .row_highlight_style(Style::new().reversed());
        frame.render_stateful_widget(table, body, &mut self.table);
    }

    fn summary(&self) -> String {
        let tasks: i64 = self.rows.iter().map(|row| row.tasks).sum();
        format!(
            "penfold top: {} cgroups, {tasks} tasks   t c l p: sort by tasks, CPU, limit, path   r: reverse   q: end",
            self.rows.len()
        )
    }
}
