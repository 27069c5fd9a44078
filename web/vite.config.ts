import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The API that `npm run dev` talks to; the default of `edgewright up`.
const api = process.env["EDGEWRIGHT_URL"] ?? "http://127.0.0.1:7070";

export default defineConfig({
  base: "/",
  plugins: [react()],
  resolve: { tsconfigPaths: true },
  build: {
    target: "es2022",
    sourcemap: false,
    cssCodeSplit: false, // a style that failed to come with a screen is not asked for again
    assetsInlineLimit: 0, // data: URLs in styles would widen the policy
    license: { fileName: "third-party-licenses.md" },
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "react", test: /node_modules[\\/](react|react-dom|scheduler)[\\/]/ },
            { name: "mantine", test: /node_modules[\\/](@mantine|@floating-ui)[\\/]/ },
            { name: "tanstack", test: /node_modules[\\/]@tanstack[\\/]/ },
          ],
        },
      },
    },
  },
  // The host stays the browser's: the API refuses a write whose origin is another one.
  server: { proxy: { "/api": { target: api, changeOrigin: false }, "/openapi.json": api } },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test/setup.ts"],
    restoreMocks: true,
    testTimeout: 30_000,
  },
});
