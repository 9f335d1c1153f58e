import { defineConfig } from "vite";

export default defineConfig({
  base: "/static/",
  build: {
    outDir: "dist",
    manifest: true,
    // The Content-Security-Policy allows fonts from our own origin only, so nothing becomes a data: URL.
    assetsInlineLimit: 0,
    // The polyfill would be one more script in every page; browsers we support preload modules.
    modulePreload: { polyfill: false },
    // ECharts is about 500 kB and loaded only by pages with a chart.
    chunkSizeWarningLimit: 600,
    rolldownOptions: {
      input: "src/main.ts",
      // htmx evaluates text only where allowEval is on; our pages turn it off, and the policy refuses it.
      checks: { eval: false },
      // What lazily loaded chunks share lies outside the entry: Django's manifest storage serves the entry
      // under a second name, and a chunk importing it by the first would start the whole page twice.
      output: { codeSplitting: { groups: [{ name: "shared", test: /dom\.ts|preload-helper|rolldown:runtime|rolldown\/runtime/ }] } },
    },
  },
});
