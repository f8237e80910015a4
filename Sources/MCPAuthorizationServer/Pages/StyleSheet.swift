/// The one style sheet of the pages: system fonts, light and dark, large targets, visible focus.
enum StyleSheet {
    /// The accent colour if none is configured.
    static let accent = Colour("#1f5fbf") ?? Colour.black

    static func text(_ branding: Branding) -> String { source + colours(branding) }

    private static func colours(_ branding: Branding) -> String {
        guard let accent = branding.accent, let light = Colour(accent.light), let dark = Colour(accent.dark) else { return "" }
        return """

            :root { --accent: light-dark(\(light.text), \(dark.text)); --on-accent: light-dark(\(light.textColour), \(dark.textColour)); }
            """
    }

    private static let source = """
        :root {
          color-scheme: light dark;
          --ground: light-dark(#f4f5f7, #14161a); --card: light-dark(#ffffff, #1e2127); --ink: light-dark(#1b1f24, #e8eaed);
          --quiet: light-dark(#5a6370, #a3abb7); --line: light-dark(#d5d9df, #3a404a); --accent: light-dark(#1f5fbf, #7fb0ff);
          --on-accent: light-dark(#ffffff, #10141a); --warn: light-dark(#8a4b00, #f2b35e); --warn-ground: light-dark(#fff4e2, #33281a);
          --bad: light-dark(#a8201a, #ff9a93); --bad-ground: light-dark(#fdeceb, #3a2220);
        }
        * { box-sizing: border-box; }
        body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--ground); color: var(--ink);
          font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
        .card { width: 100%; max-width: 27rem; padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: 1rem; overflow-wrap: anywhere; }
        .site { display: flex; align-items: center; gap: .6rem; margin: 0 0 1rem; color: var(--quiet); font-size: .95rem; font-weight: 600; }
        .logo { display: block; max-height: 2.25rem; max-width: 60%; }
        h1 { margin: 0 0 .75rem; font-size: 1.4rem; line-height: 1.3; font-weight: 600; text-wrap: balance; }
        p { margin: 0 0 1rem; }
        label { display: block; margin: 1rem 0 .35rem; font-weight: 600; }
        .check { display: flex; gap: .6rem; align-items: start; font-weight: 400; }
        .check input { width: 1.25rem; height: 1.25rem; margin: .15rem 0 0; flex: none; }
        input:not([type=checkbox]):not([type=hidden]) { width: 100%; min-height: 2.9rem; padding: .5rem .75rem; font: inherit; color: inherit;
          background: var(--ground); border: 1px solid var(--quiet); border-radius: .55rem; }
        button, .button { display: inline-block; min-height: 2.9rem; padding: .6rem 1.2rem; font: inherit; font-weight: 600; color: var(--ink); text-decoration: none;
          background: transparent; border: 1px solid var(--quiet); border-radius: .55rem; cursor: pointer; }
        button.primary { color: var(--on-accent); background: var(--accent); border-color: var(--accent); }
        form > button.primary { width: 100%; margin-top: 1.5rem; }
        button:hover, .button:hover { filter: brightness(.94); }
        button.link { min-height: 2.75rem; padding: .5rem 0; border: 0; color: var(--accent); font-weight: 400; text-decoration: underline; text-underline-offset: .2em; text-align: left; }
        :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
        .buttons { display: flex; gap: .75rem; margin-top: 1.5rem; }
        .buttons > * { flex: 1; text-align: center; }
        .buttons.stacked { flex-direction: column; }
        .decision { margin: 1rem -2rem 0; padding: 1rem 2rem; background: var(--card); border-top: 1px solid var(--line); }
        @media (min-height: 34rem) { .decision { position: sticky; bottom: 0; } }
        @keyframes arm { from { opacity: .4; pointer-events: none; } }
        .decision button, button.destructive { animation: arm .7s step-end; }
        button.destructive { color: #fff; background: #b3261e; border-color: #b3261e; }
        a { color: var(--accent); text-underline-offset: .2em; }
        a.button { color: var(--ink); text-align: center; }
        a.danger { color: var(--bad); display: inline-block; padding: .6rem 0; }
        .links { display: flex; gap: 1.25rem; flex-wrap: wrap; margin: 1.25rem 0 0; }
        .done { padding: .75rem 1rem; color: light-dark(#14532d, #a7e3bd); background: light-dark(#e8f6ec, #17301f); border-radius: .55rem; }
        .qr { display: block; width: 13rem; max-width: 100%; margin: 0 auto 1rem; border-radius: .55rem; }
        .codes { font-family: ui-monospace, monospace; font-size: 1.05rem; line-height: 1.8; }
        .warning strong { white-space: nowrap; }
        .value { font-family: ui-monospace, monospace; font-size: .85rem; }
        .providers { display: grid; gap: .6rem; margin-top: 1.25rem; }
        .provider { display: flex; align-items: center; justify-content: center; gap: .7rem; width: 100%; }
        .mark { flex: none; }
        .or { display: flex; align-items: center; gap: .8rem; margin: 1.4rem 0 0; color: var(--quiet); font-size: .95rem; }
        .or::before, .or::after { content: ""; flex: 1; border-top: 1px solid var(--line); }
        .aside { margin-top: .75rem; }
        .card.wide { max-width: 44rem; }
        h2 { margin: 2rem 0 .5rem; font-size: 1.1rem; }
        details { border-top: 1px solid var(--line); }
        details:last-of-type { border-bottom: 1px solid var(--line); }
        summary { min-height: 2.75rem; padding: .6rem 0; font-weight: 600; cursor: pointer; }
        pre { margin: 0 0 1rem; padding: .75rem 1rem; overflow-x: auto; background: var(--ground); border-radius: .55rem; font-size: .9rem; white-space: pre-wrap; overflow-wrap: anywhere; }
        .copy { user-select: all; -webkit-user-select: all; }
        .note { color: var(--quiet); }
        .quiet { color: var(--quiet); font-size: .9rem; }
        .warning { padding: .75rem 1rem; color: var(--warn); background: var(--warn-ground); border-radius: .55rem; }
        .problem { padding: .75rem 1rem; color: var(--bad); background: var(--bad-ground); border-radius: .55rem; }
        ul { margin: 0 0 1.25rem; padding: 0; list-style: none; }
        fieldset { margin: 0 0 .5rem; padding: 0; border: 0; min-width: 0; }
        fieldset ul { margin-bottom: .5rem; }
        form + dl { margin-top: 1.25rem; }
        legend { margin-bottom: .5rem; padding: 0; }
        input + .quiet { margin-top: .6rem; }
        .code { font-family: ui-monospace, monospace; font-size: 1.3rem; letter-spacing: .12em; text-transform: uppercase; }
        .scopes .check { margin: 0; }
        .scopes li { padding: .7rem 0; border-top: 1px solid var(--line); }
        .scopes li:last-child { border-bottom: 1px solid var(--line); }
        .scopes code { display: block; color: var(--quiet); font-size: .85rem; }
        .flag { margin-left: .5rem; padding: .1rem .5rem; color: var(--warn); background: var(--warn-ground); border-radius: 1rem; font-size: .85rem; }
        .flag.new { color: var(--accent); background: none; border: 1px solid currentColor; }
        .connections li { padding: 1rem 0; border-top: 1px solid var(--line); }
        .connections p { margin: .25rem 0 .5rem; }
        dl { display: grid; grid-template-columns: auto 1fr; gap: .3rem 1rem; margin: 0 0 1.25rem; }
        dt { color: var(--quiet); }
        dd { margin: 0; }
        .developer { display: block; padding: .75rem 1rem; background: var(--ground); border-radius: .55rem; font-size: .9rem; }
        @media (max-width: 30rem) { body { padding: 0; place-items: stretch; } .card { max-width: none; border: 0; border-radius: 0; padding: 1.5rem 1.25rem; } .decision { margin: 1rem -1.25rem 0; padding: .75rem 1.25rem; } dl { display: block; } dd { margin-bottom: .5rem; } }
        @media (forced-colors: active) { button, .button { border: 1px solid ButtonText; } }
        """
}
