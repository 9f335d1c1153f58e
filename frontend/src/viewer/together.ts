/** Two panes that go together, each until let go: the part of the film that is shown, and its window. */
import type { Pane } from "./pane";

export class Together {
  place = true;
  window = true;
  private following = false;

  /** `other` is the pane beside this one, where there is one. */
  constructor(private readonly other: (pane: Pane) => Pane | null) {}

  /** The other pane shows the same part of its film, at the same size of it. */
  follow(led: Pane): void {
    const other = this.other(led);
    if (!this.place || this.following || !other?.film || !led.film) return;
    this.following = true;
    other.placeLike(led);
    this.following = false;
  }

  /** The same change on both, each by its own film: detectors have no common scale. */
  windowed(led: Pane, change: (pane: Pane) => void): void {
    change(led);
    const other = this.other(led);
    if (this.window && other?.film) change(other);
  }
}
