import "./styles/tokens.css";
import "./styles/fonts.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/actions.css";
import "./styles/forms.css";
import "./styles/parts.css";
import "./styles/lists.css";
import "./styles/model.css";
import "./styles/read.css";
import "./styles/worklist.css";
import "./styles/work.css";
import "./styles/settle.css";
import "./styles/quality.css";
import "./styles/report.css";
import "./styles/viewer.css";
import "./styles/dropzone.css";
import "./styles/alert.css";
import htmx from "htmx.org";
import { startCommands } from "./commands";
import { startDialogs } from "./dialogs";
import { startDropzones } from "./dropzone";
import { startHealth } from "./health";
import { startKeys } from "./keys";
import { startLive } from "./live";
import { startRows } from "./rows";
import { startTheme } from "./theme";
import { startTicks } from "./ticks";
import { startTimes } from "./times";
import { startToasts } from "./toasts";

/** Runs once for what the page brought, and again for every fragment htmx puts in. */
function mount(root: ParentNode): void {
  startDropzones(root);
  for (const element of root.querySelectorAll<HTMLElement>("[data-viewer]:not([data-mounted])")) {
    element.dataset.mounted = "";
    // The film is asked for before the viewer's large chunk takes the thread.
    void import("./viewer/film").then(({ filmAt }) => {
      filmAt(element.dataset.film ?? "").catch(() => undefined);
      return import("./viewer/index");
    }).then(({ Viewer }) => new Viewer(element));
  }
  for (const element of root.querySelectorAll<HTMLElement>("[data-chart]:not([data-mounted])")) {
    element.dataset.mounted = "";
    void import("./charts").then(({ mountChart }) => mountChart(element));
  }
}

startTheme();
startDialogs();
startToasts();
startCommands();
startKeys();
startRows();
startTicks();
startLive(htmx);
startHealth();
startTimes();
mount(document);
document.addEventListener("htmx:load", (event) => {
  const { target } = event;
  if (target instanceof Element && target !== document.body) mount(target.parentElement ?? document);
});
