import { defineConfig, type Plugin } from "vite";

/** Cornerstone writes one style as an attribute, which our policy refuses; through the object model it may. */
function withoutStyleAttribute(): Plugin {
  const written = "textElement.setAttribute('style', combinedStyle)";
  return {
    name: "without-style-attribute",
    transform(code, id) {
      if (!id.endsWith("/drawingSvg/drawTextBox.js")) return null;
      if (!code.includes(written)) throw new Error("Cornerstone's drawTextBox.js changed: does it still write a style attribute?");
      return code.replace(written, "textElement.style.cssText = combinedStyle");
    },
  };
}

export default defineConfig({
  base: "/static/",
  plugins: [withoutStyleAttribute()],
  build: {
    outDir: "dist",
    manifest: true,
    // The Content-Security-Policy allows fonts from our own origin only, so nothing becomes a data: URL.
    assetsInlineLimit: 0,
    // The polyfill would be one more script in every page; browsers we support preload modules.
    modulePreload: { polyfill: false },
    // Cornerstone3D is about 3.4 MB and loaded only by a study's page.
    chunkSizeWarningLimit: 3500,
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
